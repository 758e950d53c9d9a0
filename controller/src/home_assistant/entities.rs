//! What Home Assistant is shown of a home: which entities there are, and how they stand. Pure: from a view to topics and JSON.
//!
//! Entities are announced one by one, in the form that old and new versions of Home Assistant read. All of them read two kinds
//! of messages: the home's state, and one for each load with the reason beside.

use serde_json::{Value, json};
use sunkeep_core::ProcessImage;
use sunkeep_core::settings::Load;

use crate::decided::battery_power;
use crate::language::{Clock, sentence};
use crate::view::View;

/// A message that the broker keeps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
}

/// Names in topics.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Before the topics of announcements.
    pub(super) prefix: String,
    /// Of the hub, in letters that topics of announcements may have.
    pub(super) hub: String,
}

/// A number that is shown.
struct Sensor {
    key: &'static str,
    name: &'static str,
    class: &'static str,
    unit: &'static str,
    decimals: u8,
}

const SENSORS: [Sensor; 7] = [
    Sensor { key: "charge", name: "Battery", class: "battery", unit: "%", decimals: 0 },
    Sensor { key: "battery_v", name: "Battery voltage", class: "voltage", unit: "V", decimals: 2 },
    Sensor { key: "battery_a", name: "Battery current", class: "current", unit: "A", decimals: 1 },
    Sensor { key: "battery_w", name: "Battery power", class: "power", unit: "W", decimals: 0 },
    Sensor { key: "battery_c", name: "Battery temperature", class: "temperature", unit: "°C", decimals: 1 },
    Sensor { key: "pv_w", name: "Solar power", class: "power", unit: "W", decimals: 0 },
    Sensor { key: "load_w", name: "Load power", class: "power", unit: "W", decimals: 0 },
];

impl Names {
    /// A name as topics of announcements have it: letters, digits, `_` and `-`.
    pub(super) fn plain(name: &str) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        name.chars().take(64).map(plain).collect()
    }

    /// Whether the hub is there.
    pub(super) fn online(&self) -> String {
        format!("sunkeep/{}/online", self.hub)
    }

    fn state(&self) -> String {
        format!("sunkeep/{}/state", self.hub)
    }

    fn load(&self, load: &Load) -> String {
        format!("sunkeep/{}/load/{}", self.hub, load.name)
    }

    /// The topics of all announcements of this hub.
    pub(super) fn announcements(&self) -> String {
        format!("{}/+/{}/+/config", self.prefix, self.hub)
    }

    /// Where Home Assistant says that it has come up.
    pub(super) fn birth(&self) -> String {
        format!("{}/status", self.prefix)
    }

    fn announced(&self, component: &str, object: &str, mut config: Value, view: &View) -> Message {
        config["unique_id"] = format!("sunkeep_{}_{object}", self.hub).into();
        config["object_id"] = format!("{}_{object}", self.hub).into();
        config["availability_topic"] = self.online().into();
        config["device"] = json!({
            "identifiers": [format!("sunkeep_{}", self.hub)],
            "name": &*view.site,
            "manufacturer": "Sunkeep",
            "model": "Sunkeep hub",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        config["origin"] = json!({ "name": "Sunkeep", "sw_version": env!("CARGO_PKG_VERSION") });
        let topic = format!("{}/{component}/{}/{object}/config", self.prefix, self.hub);
        Message { topic, payload: config.to_string() }
    }
}

/// An announcement for each entity.
pub(super) fn announce(names: &Names, view: &View) -> Vec<Message> {
    let state = names.state();
    let template = |key: &str| format!("{{{{ value_json.{key} }}}}");
    let sensors = SENSORS.iter().map(|sensor| {
        let config = json!({
            "name": sensor.name,
            "state_topic": state,
            "value_template": template(sensor.key),
            "device_class": sensor.class,
            "state_class": "measurement",
            "unit_of_measurement": sensor.unit,
            "suggested_display_precision": sensor.decimals,
        });
        names.announced("sensor", sensor.key, config, view)
    });
    let protection = json!({
        "name": "Protection",
        "state_topic": state,
        "value_template": template("protection"),
        "device_class": "problem",
        "json_attributes_topic": state,
        "json_attributes_template": "{{ {'alarm': value_json.alarm, 'faults': value_json.faults} | tojson }}",
    });
    let protection = names.announced("binary_sensor", "protection", protection, view);
    let loads = view.settings.loads.iter().flat_map(|load| {
        let topic = names.load(load);
        let supplied = json!({
            "name": load.label,
            "state_topic": topic,
            "value_template": template("supplied"),
            "device_class": "power",
            "json_attributes_topic": topic,
        });
        let power = json!({
            "name": format!("{} power", load.label),
            "state_topic": topic,
            "value_template": template("power_w"),
            "device_class": "power",
            "state_class": "measurement",
            "unit_of_measurement": "W",
            "suggested_display_precision": 0,
        });
        let object = format!("load_{}", load.name);
        [
            names.announced("binary_sensor", &object, supplied, view),
            names.announced("sensor", &format!("{object}_w"), power, view),
        ]
    });
    sensors.chain([protection]).chain(loads).collect()
}

/// How everything stands.
pub(super) fn state(names: &Names, view: &View) -> Vec<Message> {
    let View { settings, image, decision, .. } = view;
    let fresh = |reading| rounded(ProcessImage::fresh(image, settings, reading));
    let home = json!({
        "charge": rounded(Some(decision.charge.best.ratio() * 100.0)),
        "battery_v": fresh(image.battery.voltage),
        "battery_a": fresh(image.battery.current),
        "battery_w": rounded(battery_power(settings, image)),
        "battery_c": fresh(image.battery.temperature),
        "pv_w": fresh(image.sun),
        "load_w": fresh(image.load),
        "protection": on_off(decision.alarm.is_some()),
        "alarm": decision.alarm,
        "faults": *view.faults,
    });
    let clock = Clock { unix: image.wall.map(|wall| wall.unix), utc_offset: image.utc_offset };
    let loads = settings.loads.iter().zip(&decision.loads).zip(&image.loads);
    let loads = loads.map(|((load, decided), readings)| {
        let payload = json!({
            // As the relay was read back; as it was decided where nobody can read it.
            "supplied": on_off(readings.is_supplied().unwrap_or(decided.on)),
            "power_w": fresh(readings.power),
            "tier": load.tier.word(),
            "reason": decided.because.word(),
            "sentence": sentence(view.language, load, decided, clock),
        });
        Message { topic: names.load(load), payload: payload.to_string() }
    });
    [Message { topic: names.state(), payload: home.to_string() }].into_iter().chain(loads).collect()
}

fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// Two decimals: more is noise, and would make every message another.
fn rounded(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 100.0).round() / 100.0)
}
