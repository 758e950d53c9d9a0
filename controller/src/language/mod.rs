//! What the hub says to a household, in its language.
//!
//! The words are in `controller/languages`, one Fluent file a language; here is how they are found and filled in.
//! A message that a language lacks is said in English. The log, the command line and the names of fields stay
//! English: they are for those who look after the hub.

mod sentences;
mod time;

use std::fmt::Display;
use std::sync::OnceLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentError, FluentResource, FluentValue};

pub use sentences::{alarm, cost_sentence, needs, reason, sentence};
pub use time::{Clock, day, moment, span};

/// A language of the page and of the sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// French.
    French,
    /// Swahili.
    Swahili,
    /// Hindi.
    Hindi,
}

type Bundle = FluentBundle<FluentResource>;

impl Language {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::English, Self::French, Self::Swahili, Self::Hindi];

    /// Its tag as browsers and the configuration know it (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::Swahili => "sw",
            Self::Hindi => "hi",
        }
    }

    /// The language of a tag; `None` for one that the hub does not speak.
    pub fn tagged(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag() == tag)
    }

    fn text(self) -> &'static str {
        match self {
            Self::English => include_str!("../../languages/en.ftl"),
            Self::French => include_str!("../../languages/fr.ftl"),
            Self::Swahili => include_str!("../../languages/sw.ftl"),
            Self::Hindi => include_str!("../../languages/hi.ftl"),
        }
    }

    /// A message without anything to fill in.
    pub fn word(self, message: &str) -> String {
        self.say(message, &[])
    }

    /// A message with what is to be filled in, by name.
    pub fn say(self, message: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        let values: FluentArgs<'_> = values.iter().map(|(name, value)| (*name, value.clone())).collect();
        let said = self.filled(message, &values).or_else(|| Self::English.filled(message, &values));
        // A test looks for every message that the hub may say.
        said.unwrap_or_else(|| message.to_owned())
    }

    fn filled(self, message: &str, values: &FluentArgs<'_>) -> Option<String> {
        let bundle = self.bundle();
        let pattern = bundle.get_message(message)?.value()?;
        let mut errors: Vec<FluentError> = Vec::new();
        let said = bundle.format_pattern(pattern, Some(values), &mut errors);
        for error in errors {
            tracing::debug!("{message} in {}: {error}", self.tag());
        }
        Some(said.into_owned())
    }

    /// Read at the first word.
    fn bundle(self) -> &'static Bundle {
        static BUNDLES: [OnceLock<Bundle>; 4] = [const { OnceLock::new() }; 4];
        BUNDLES[self as usize].get_or_init(|| {
            let tag = self.tag().parse().unwrap_or_default();
            let mut bundle = Bundle::new_concurrent(vec![tag]);
            // The page marks no direction: all that is filled in reads as its surroundings do.
            bundle.set_use_isolating(false);
            let resource =
                FluentResource::try_new(self.text().to_owned()).unwrap_or_else(|(resource, errors)| {
                    tracing::error!("{} messages in {} cannot be read", errors.len(), self.tag());
                    resource
                });
            bundle.add_resource_overriding(resource);
            bundle
        })
    }

    /// A figure with its unit as this language writes it: `1,5 h` in French.
    pub fn figure(self, figure: impl Display) -> String {
        let text = figure.to_string();
        if self == Self::French { text.replace('.', ",") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use super::*;

    /// Messages by name, each with the names of what is filled in.
    fn messages(language: Language) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        let mut messages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut last = "";
        for line in language.text().lines() {
            if let Some((name, _)) =
                line.split_once(" = ").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()))
            {
                assert!(
                    messages.insert(name, BTreeSet::new()).is_none(),
                    "{name} twice in {}",
                    language.tag()
                );
                last = name;
            }
            let letters = |c: char| c.is_ascii_lowercase();
            let values =
                line.split('$').skip(1).map(|rest| &rest[..rest.find(|c| !letters(c)).unwrap_or(rest.len())]);
            if let Some(message) = messages.get_mut(last) {
                message.extend(values);
            }
        }
        messages
    }

    #[test]
    fn every_language_says_all_of_it_with_the_same_figures() {
        let english = messages(Language::English);
        assert!(english.len() > 100);
        for language in Language::ALL {
            let told = messages(language);
            for (message, values) in &english {
                assert_eq!(told.get(message), Some(values), "{message} in {}", language.tag());
            }
            assert_eq!(told.len(), english.len(), "{} says more than English", language.tag());
            let resource = FluentResource::try_new(language.text().to_owned());
            assert!(resource.is_ok(), "{}: {:?}", language.tag(), resource.err().map(|(_, errors)| errors));
            let bundle = language.bundle();
            for (message, values) in &english {
                let filled: FluentArgs<'_> =
                    values.iter().map(|name| (*name, FluentValue::from("7"))).collect();
                let mut errors = Vec::new();
                let pattern = bundle.get_message(message).unwrap().value().unwrap();
                let said = bundle.format_pattern(pattern, Some(&filled), &mut errors);
                assert!(errors.is_empty() && !said.is_empty(), "{message} in {}: {errors:?}", language.tag());
            }
        }
    }

    /// Each message is said somewhere, and each that is said is there.
    #[test]
    fn what_is_said_is_written_and_what_is_written_is_said() {
        let mut source = String::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    source += &std::fs::read_to_string(path).unwrap();
                }
            }
        }
        let english = messages(Language::English);
        for message in english.keys() {
            assert!(source.contains(&format!("\"{message}\"")), "nobody says {message}");
        }
        for call in [".word(\"", ".say(\"", ".say(\n            \"", ".say(\n                \""] {
            for rest in source.split(call).skip(1) {
                let message = rest.split('"').next().unwrap();
                assert!(
                    message.contains('{') || english.contains_key(message),
                    "{message} is written nowhere"
                );
            }
        }
    }

    #[test]
    fn a_message_nobody_wrote_is_its_own_name_and_a_tag_nobody_speaks_is_none() {
        let nobodys = "written-nowhere";
        assert_eq!(Language::Hindi.word(nobodys), nobodys);
        assert_eq!(Language::tagged("xx"), None);
        for language in Language::ALL {
            assert_eq!(Language::tagged(language.tag()), Some(language));
        }
    }
}
