//! Names of targets and the patterns that delegations give away. A name is compared by its bytes and never
//! becomes the name of a file: files are called by their hash.

use std::fmt;

use crate::reason::{Reason, Refusal};

/// Longest name, bytes.
const NAME_CAP: usize = 255;
/// Names that Windows takes for devices; bundles are also carried on sticks.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A name that no file system, shell or URL takes for anything but a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetName(String);

impl TargetName {
    /// Refuses names that are absolute, climb, hide escapes or are not plain text.
    pub fn parse(name: &str) -> Result<Self, Refusal> {
        let refuse = |detail| Err(Refusal::new(Reason::BadName, format!("target {name:?}"), detail));
        if name.is_empty() || name.len() > NAME_CAP {
            return refuse("empty or longer than 255 bytes");
        }
        if name.chars().any(|letter| letter.is_control() || "\\:%".contains(letter)) {
            return refuse("holds a control character, `\\`, `:` or `%`");
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("is absolute, or has an empty, `.` or `..` part");
        }
        if name.split('/').any(is_device) {
            return refuse("has a part that is the name of a device");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).to_ascii_lowercase();
    let bare = stem.trim_end_matches(|digit: char| digit.is_ascii_digit());
    DEVICES.contains(&bare) && stem.len() - bare.len() <= 1
}

/// Whether a pattern (4.5, PATHPATTERN) fits a name. `*` and `?` do not cross a `/`. Attack: a role that was
/// given `models/*` names `models/x/y` or something outside.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (patterns, names) = (pattern.split('/'), name.split('/'));
    patterns.clone().count() == names.clone().count()
        && patterns.zip(names).all(|(pattern, part)| part_fits(pattern.as_bytes(), part.as_bytes()))
}

/// One part, with the usual two marks: at most one step back per letter, so time is bounded by the product of
/// the lengths.
fn part_fits(pattern: &[u8], part: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < part.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(letter) if *letter == b'?' || *letter == part[from] => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((mark, taken)) => {
                    star = Some((mark, taken + 1));
                    at = mark + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}
