//! Messages in a form of somebody else's: a template makes lines of each record, and every line that is not empty is a message.
//! The fleet's own ingest does not read them.

use minijinja::{Environment, Value};

/// Longest template, bytes.
pub const MOST_TEMPLATE: usize = 8 << 10;
/// Steps that a record may take: some for each of the channels there may be.
const MOST_STEPS: u64 = 200_000;
/// Most lines of a record: one for each channel.
const MOST_LINES: usize = 300;
const NAME: &str = "template";
/// Records of either kind, in the plain form.
const SAMPLES: [&str; 2] = [
    r#"{"v":1,"kind":"telemetry","site":"a","hub":"a","store":"00112233445566778899aabbccddeeff","boot":1,"sequence":1,"uptime_ms":60000,"wall_ms":null,"span_ms":60000,"values":{"battery_v":12.5,"pv_w":null}}"#,
    r#"{"v":1,"kind":"events","site":"a","hub":"a","store":"00112233445566778899aabbccddeeff","boot":1,"sequence":1,"uptime_ms":60000,"wall_ms":null,"what":"switched","fields":{"load":"tv","on":true}}"#,
];

/// What a template makes of records.
#[derive(Debug)]
pub struct Template(Environment<'static>);

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is not one, or a record does not fit it.
    #[error("{0:#}")]
    Template(#[from] minijinja::Error),
    /// The record.
    #[error("a record that is no JSON: {0}")]
    Record(#[from] serde_json::Error),
    /// Too many messages of one record.
    #[error("{0} lines of one record; expected {MOST_LINES} at most")]
    Lines(usize),
    /// A message that is too long.
    #[error("a line of {found} bytes; expected {most} at most")]
    Long {
        /// Its length.
        found: usize,
        /// How long it may be.
        most: usize,
    },
}

impl Template {
    /// Reads a template: text with `{{ … }}` and `{% … %}` as Jinja has them.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_fuel(Some(MOST_STEPS));
        // Nothing here is HTML: values stand as JSON has them, in quotes where they are words.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.add_filter("unit", |channel: &str| unit(channel));
        environment.add_template_owned(NAME, text.to_owned())?;
        let template = Self(environment);
        // What fails for any record at all is better known before the first.
        SAMPLES.iter().try_for_each(|sample| template.messages(sample).map(drop))?;
        Ok(template)
    }

    /// The messages of a record, which is a line of the plain form.
    pub(super) fn messages(&self, record: &str) -> Result<Vec<String>, TemplateError> {
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(record)?;
        // A loop over what a record does not have is no error.
        for members in ["values", "fields"] {
            record.entry(members).or_insert_with(|| serde_json::json!({}));
        }
        let text = self.0.get_template(NAME)?.render(Value::from_serialize(&record))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<String> = lines.map(Into::into).collect();
        let most = sunkeep_models::wire::MOST_BYTES;
        if let Some(long) = lines.iter().find(|line| line.len() > most) {
            return Err(TemplateError::Long { found: long.len(), most });
        }
        if lines.len() > MOST_LINES {
            return Err(TemplateError::Lines(lines.len()));
        }
        Ok(lines)
    }
}

/// The unit that a channel bears at its end.
fn unit(channel: &str) -> &'static str {
    match channel.rsplit(['_', '.']).next() {
        Some("v") => "V",
        Some("a") => "A",
        Some("w") => "W",
        Some("c") => "°C",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"v":1,"kind":"telemetry","site":"s","hub":"h7","store":"00","boot":1,"sequence":9,
        "uptime_ms":60000,"wall_ms":1795000000000,"wall":"2026-11-18T11:06:40Z","span_ms":60000,
        "values":{"battery_v":12.5,"critical_on":1,"load.tv.w":null,"pv_w":80}}"#;
    /// The message of another maker's meter: one for each value that was measured.
    const METER: &str = r#"{% for name, value in values|items if value is not none %}
{"id":"{{ hub }}","msgId":"{{ sequence }}-{{ loop.index }}","date":"{{ wall }}","payload":{"type":"{{ name }}","value":{{ value }},"unity":"{{ name|unit }}"}}
{% endfor %}"#;

    #[test]
    fn a_record_becomes_a_message_for_each_value() {
        let messages = Template::new(METER).unwrap().messages(RECORD).unwrap();
        let messages: Vec<serde_json::Value> =
            messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert_eq!(
            messages[0]["payload"],
            serde_json::json!({ "type": "battery_v", "value": 12.5, "unity": "V" })
        );
        assert_eq!(messages[2]["payload"]["unity"], "W");
        assert_eq!((&messages[1]["id"], &messages[1]["msgId"]), (&"h7".into(), &"9-2".into()));
        assert_eq!(messages[1]["date"], "2026-11-18T11:06:40Z");
    }

    #[test]
    fn what_a_template_does_not_speak_of_gives_nothing() {
        let template = Template::new(METER).unwrap();
        assert_eq!(template.messages(SAMPLES[1]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_template_that_is_none_or_never_ends_is_refused() {
        let refused = |text: &str| {
            let rendered = Template::new(text).and_then(|template| template.messages(RECORD));
            rendered.unwrap_err().to_string()
        };
        assert!(refused("{% for %}").contains("syntax"));
        assert!(
            refused("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}")
                .contains("fuel")
        );
        assert!(refused("{% for a in range(400) %}\nx\n{% endfor %}").contains("400 lines"));
        assert!(refused("{{ values.pv_w|nothing }}").contains("nothing"));
    }
}
