//! Spans and moments in the words of a household.

use sunkeep_models::quantity::Seconds;

use super::Language;

/// The wall clock as far as a sentence needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Seconds since 1970 now, where known.
    pub unix: Option<i64>,
    /// Seconds that local time is ahead of UTC.
    pub utc_offset: i32,
}

/// A span in words: `40 s`, `25 min`, `an hour`, `3.5 h`.
pub fn span(language: Language, span: Seconds) -> String {
    let seconds = span.0.max(0.0);
    let minutes = (seconds / 60.0).round() as i64;
    if seconds < 90.0 {
        language.say("span-seconds", &[("count", (seconds.round() as i64).into())])
    } else if minutes == 60 {
        language.word("span-hour")
    } else if seconds < 90.0 * 60.0 {
        language.say("span-minutes", &[("count", minutes.into())])
    } else {
        let hours = language.figure(format_args!("{:.1}", seconds / 3600.0));
        language.say("span-hours", &[("hours", hours.into())])
    }
}

/// Days in words: `a day`, `9 days`; hours below that.
pub(super) fn days(language: Language, since: Seconds) -> String {
    match (since.0 / 86_400.0).floor() as i64 {
        0 => span(language, since),
        days => language.say("span-days", &[("count", days.into())]),
    }
}

/// A moment on the wall clock of the home: `07:00`, or `07:00 tomorrow`.
pub fn moment(language: Language, unix: i64, clock: Clock) -> String {
    let local = unix + i64::from(clock.utc_offset);
    let time = format!("{:02}:{:02}", local.rem_euclid(86_400) / 3600, local.rem_euclid(3600) / 60);
    let days = clock
        .unix
        .map_or(0, |now| local.div_euclid(86_400) - (now + i64::from(clock.utc_offset)).div_euclid(86_400));
    match days {
        i64::MIN..=0 => time,
        1 => language.say("moment-tomorrow", &[("time", time.into())]),
        days => language.say("moment-in-days", &[("time", time.into()), ("days", days.into())]),
    }
}

/// Short name of a day of the week, 0 for Monday.
pub fn day(language: Language, weekday: u8) -> String {
    let day = match weekday % 7 {
        0 => "monday",
        1 => "tuesday",
        2 => "wednesday",
        3 => "thursday",
        4 => "friday",
        5 => "saturday",
        _ => "sunday",
    };
    language.word(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_as_people_do() {
        let said = |language, seconds| span(language, Seconds(seconds));
        assert_eq!(
            [40.0, 1500.0, 3599.0, 12_600.0].map(|span| said(Language::English, span)),
            ["40 s", "25 min", "an hour", "3.5 h"]
        );
        assert_eq!(said(Language::French, 12_600.0), "3,5 h");
        assert_eq!(said(Language::Swahili, 12_600.0), "saa 3.5");
        assert_eq!(said(Language::Hindi, 3600.0), "एक घंटा");
        assert_eq!(days(Language::English, Seconds(86_400.0)), "a day");
        assert_eq!(days(Language::French, Seconds(9.5 * 86_400.0)), "9 jours");
        assert_eq!(days(Language::Swahili, Seconds(86_400.0)), "siku moja");
    }

    #[test]
    fn another_day_is_named() {
        let clock = Clock { unix: Some(1_772_817_000), utc_offset: 10_800 }; // Friday 20:10
        let said = |hours: i64| moment(Language::English, 1_772_817_000 + hours * 3600, clock);
        assert_eq!([1, 8, 40].map(said), ["21:10", "04:10 tomorrow", "12:10 in 2 days"]);
    }
}
