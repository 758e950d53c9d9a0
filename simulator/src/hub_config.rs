//! The configuration with which a hub fits one running home: `hub.toml`, in the hub's own format.
//!
//! Written as plain TOML from what the installer of such a home would know: name plates, wiring, places.
//! Nothing of the plant's hidden state goes in.

use serde_json::{Value, json};

use crate::device::Model;
use crate::home::{BusAddress, BusSpec, HomeOptions, Transport, UnitAddress};
use crate::plant::{Chemistry, Load, Plant, RecordedHome, SolarHome, Tier, Wiring};

/// What a hub gets beside the home itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// Address and port of its page.
    pub page: String,
    /// PIN of its page, if changes are to be possible.
    pub pin: Option<String>,
    /// File of its journal.
    pub journal: String,
}

/// Writes the configuration of a hub for this plant on these buses.
pub fn hub_toml(plant: &Plant, buses: &[BusAddress], hub: &HubOptions) -> Result<String, toml::ser::Error> {
    let mut file = match plant {
        Plant::Synthetic(home) => synthetic(home),
        Plant::Recorded(home) => recorded(home),
    };
    file["bus"] = buses.iter().map(bus).collect();
    file["device"] = buses.iter().flat_map(devices).collect();
    file["load"] = plant.loads().iter().map(|load| self::load(load, plant)).collect();
    if matches!(plant, Plant::Synthetic(_)) {
        let modem = json!({
            "name": "modem", "label": "Hub and modem", "tier": "critical", "nominal_w": 3.0, "powers_hub": true,
        });
        if let Some(loads) = file["load"].as_array_mut() {
            loads.push(modem);
        }
    }
    file["page"] = json!({ "listen": hub.page });
    if let Some(pin) = &hub.pin {
        file["page"]["pin"] = json!(pin);
    }
    file["journal"] = json!({ "path": hub.journal, "max_mb": 64 });
    toml::to_string_pretty(&file)
}

/// The configuration that this home's hub would have on the wire, where there is no wire: for a hub in this process.
pub(crate) fn on_paper(plant: &Plant) -> Result<String, toml::ser::Error> {
    let address = |bus: BusSpec| BusAddress {
        name: bus.name,
        transport: bus.transport,
        address: "127.0.0.1:502".into(),
        units: bus.units.into_iter().map(|(unit, model)| UnitAddress { unit, model }).collect(),
    };
    let buses: Vec<_> = HomeOptions::usual(None).over_tcp().buses.into_iter().map(address).collect();
    let hub = HubOptions { page: "127.0.0.1:8080".into(), pin: None, journal: String::new() };
    hub_toml(plant, &buses, &hub)
}

/// The charge controller measures voltage and loads; a monitor on the GX counts the current, and so sees
/// what a generator charges, too.
fn battery(chemistry: &str, capacity: f64, cells: u32) -> Value {
    json!({
        "chemistry": chemistry,
        "capacity_ah": (capacity * 10.0).round() / 10.0,
        "cells": cells,
        "voltage": "charger/battery.voltage",
        "current": "gx/battery.current",
        "charge": "gx/battery.soc",
        "charge_by": "shunt",
        "temperature": "indoors/temperature",
    })
}

fn synthetic(home: &SolarHome) -> Value {
    let spec = home.spec();
    let chemistry = match spec.battery.chemistry {
        Chemistry::Lfp => "lfp",
        Chemistry::LeadAcid => "lead_acid_sealed",
    };
    let mut battery = battery(chemistry, spec.battery.capacity, spec.battery.cells);
    // What is set in the charge controller, as its display shows it.
    battery["absorption_v"] = json!((spec.charger.absorption * 100.0).round() / 100.0);
    battery["tail_current_a"] = json!(spec.charger.tail_current);
    json!({
        "site": {
            "name": format!("Simulated home {}", spec.seed),
            "timezone": spec.zone,
            "latitude": (spec.latitude * 100.0).round() / 100.0,
            "longitude": (spec.longitude * 100.0).round() / 100.0,
        },
        "battery": battery,
        "panels": {
            "peak_w": spec.array.rated,
            "tilt_deg": spec.array.tilt.round(),
            "azimuth_deg": spec.array.azimuth.rem_euclid(360.0).round(),
            "power": "charger/pv.power",
        },
        "total": { "power": "charger/load.power" },
        "limits": { "overload_w": 1500.0 },
    })
}

/// The measured homes stand in southern California; nobody wrote down how their panels are mounted. Their
/// hardware cuts everything at 20 % and gives it back at 30 %: the hub acts just before it, and so is never
/// made to wait for those 30 %. It charges with a fifth of the capacity an hour at most.
fn recorded(home: &RecordedHome) -> Value {
    let mut battery = battery("lfp", home.readings().battery_capacity, 16);
    battery["worst_charge_w"] = json!(home.most_charged());
    json!({
        "site": {
            "name": home.name(),
            "timezone": home.zone(),
            "latitude": 34.1,
            "longitude": -117.5,
        },
        "battery": battery,
        "panels": { "peak_w": home.greatest_pv().max(1.0), "power": "charger/pv.power" },
        "total": { "power": "charger/load.power" },
        "limits": { "low_percent": 22.0, "cutoff_percent": 20.0, "reconnect_percent": 30.0 },
    })
}

fn bus(bus: &BusAddress) -> Value {
    match bus.transport {
        Transport::Tcp => json!({ "name": bus.name, "kind": "tcp", "address": bus.address }),
        Transport::Rtu => {
            // A charge controller speaks at 115200, everything else here at 9600.
            let fast = bus
                .units
                .iter()
                .any(|unit| matches!(unit.model, Model::EpeverTracer3210a | Model::EpeverTracerAn));
            let baud = if fast { 115_200 } else { 9600 };
            json!({ "name": bus.name, "kind": "rtu", "port": bus.address, "baud": baud })
        }
    }
}

/// Name and device file of a unit; nothing for services of the GX that have no file of their own.
fn devices(bus: &BusAddress) -> Vec<Value> {
    let named = |unit: &crate::home::UnitAddress| {
        let (name, model, poll) = match unit.model {
            Model::EpeverTracer3210a | Model::EpeverTracerAn => ("charger", "epever_tracer", 1.0),
            Model::VictronSystem => ("gx", "victron_gx", 1.0),
            Model::EastronSdm120 => ("house_meter", "eastron_sdm120", 1.0),
            Model::EastronSdm630 => ("tier_meter", "eastron_sdm630", 1.0),
            Model::AlgodueUem => ("check_meter", "algodue_uem", 1.0),
            Model::RelayBoard8 => ("relays", "relay_board_8", 1.0),
            Model::XyMd02 => ("indoors", "xy_md02", 30.0),
            Model::VictronBattery | Model::VictronSolarCharger => return None,
        };
        let device = json!({
            "name": name, "model": model, "bus": bus.name, "unit": unit.unit, "poll_s": poll,
        });
        Some(device)
    };
    bus.units.iter().filter_map(named).collect()
}

fn load(load: &Load, plant: &Plant) -> Value {
    let tier = match load.tier {
        Tier::Critical => "critical",
        Tier::Important => "important",
        Tier::Convenience => "convenience",
    };
    let mut label = load.name.clone();
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let mut table = json!({
        "name": load.name.replace(' ', "_"),
        "label": label,
        "tier": tier,
        "nominal_w": load.power.round().max(1.0),
        "relay": {
            "device": "relays",
            "coil": load.coil,
            "wiring": match load.wiring {
                Wiring::NormallyOpen => "normally_open",
                Wiring::NormallyClosed => "normally_closed",
            },
            "hub_dead": "keeps",
            "hub_stops": if load.tier == Tier::Critical { "on" } else { "keep" },
        },
    });
    if load.name.contains("fridge") {
        table["min_off_s"] = json!(300.0);
    }
    if matches!(plant, Plant::Recorded(home) if !home.has_one_meter()) {
        // One load a tier, and each tier has a phase of the meter.
        table["power"] = json!(format!("tier_meter/power.l{}", load.tier.index() + 1));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::{HomeOptions, RunningHome};
    use crate::plant::{HomeSpec, Row, Series};

    async fn written(plant: Plant) -> toml::Table {
        let home = RunningHome::start(plant, &HomeOptions::usual(None)).await.unwrap();
        let hub = HubOptions {
            page: "127.0.0.1:8080".into(),
            pin: Some("2468".into()),
            journal: "/tmp/a \"quoted\" folder/journal.sqlite".into(),
        };
        let text = home.with_plant(|plant| hub_toml(plant, home.buses(), &hub)).unwrap();
        println!("{text}");
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_synthetic_home_tells_its_hub_every_relay_and_bus() {
        let spec = HomeSpec::from_seed(4, 1_740_776_400);
        let file = written(Plant::Synthetic(Box::new(SolarHome::new(spec).unwrap()))).await;
        assert_eq!(file["bus"].as_array().unwrap().len(), 4);
        assert_eq!(file["device"].as_array().unwrap().len(), 7);
        let loads = file["load"].as_array().unwrap();
        assert_eq!(loads.len(), 9);
        assert_eq!(loads[2]["name"].as_str(), Some("medicine_fridge"));
        assert_eq!(loads[2]["relay"]["coil"].as_integer(), Some(2));
        assert_eq!(loads[7]["relay"]["wiring"].as_str(), Some("normally_open"));
        assert_eq!(file["battery"]["absorption_v"].as_float(), Some(28.16));
        assert!(loads[8]["powers_hub"].as_bool().unwrap());
        assert_eq!(file["journal"]["path"].as_str(), Some("/tmp/a \"quoted\" folder/journal.sqlite"));
    }

    #[tokio::test]
    async fn a_recorded_home_measures_each_tier() {
        let rows = vec![Row { pv: 1234.0, demand: [100.0, 200.0, 300.0] }; 2];
        let series = Series {
            name: "a".into(),
            battery_wh: 5120.0,
            start_unix: 1_480_550_400,
            row_seconds: 3600,
            rows,
        };
        let home = RecordedHome::new(series, "UTC", None).unwrap();
        let file = written(Plant::Recorded(Box::new(home))).await;
        assert_eq!(file["battery"]["capacity_ah"].as_float(), Some(100.0));
        assert_eq!(file["battery"]["worst_charge_w"].as_float(), Some(1024.0));
        assert_eq!(file["panels"]["peak_w"].as_float(), Some(1234.0));
        assert_eq!(file["load"][1]["power"].as_str(), Some("tier_meter/power.l2"));
        assert_eq!(file["load"][1]["nominal_w"].as_float(), Some(200.0));
    }

    /// Of the tiers nothing is told that only a meter for each of them could have told.
    #[tokio::test]
    async fn a_recorded_home_with_one_meter_knows_the_total_alone() {
        let written_with = async |demand: [f64; 3]| {
            let rows = vec![Row { pv: 1234.0, demand }; 2];
            let series = Series {
                name: "a".into(),
                battery_wh: 4800.0,
                start_unix: 1_480_550_400,
                row_seconds: 3600,
                rows,
            };
            let home = RecordedHome::new(series, "UTC", None).unwrap().with_one_meter();
            written(Plant::Recorded(Box::new(home))).await
        };
        let file = written_with([100.0, 200.0, 300.0]).await;
        assert_eq!(file["total"]["power"].as_str(), Some("charger/load.power"));
        for load in file["load"].as_array().unwrap() {
            assert!(load.get("power").is_none());
            assert_eq!(load["nominal_w"].as_float(), Some(67.0));
        }
        assert_eq!(file["load"], written_with([300.0, 100.0, 200.0]).await["load"]);
    }
}
