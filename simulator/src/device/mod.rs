//! The devices of a home, each in its own file: what they answer to a request, made from what instruments
//! could see. Written by hand from what makers and users document, not from the hub's device files.

mod algodue;
mod eastron;
mod epever;
mod registers;
mod relay_board;
mod victron;
mod xy_md02;

use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::plant::Readings;
use crate::wire::pdu::{Exception, Request, Response};

/// The device types that can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// EPEver Tracer 3210A: 18 registers a request, some to be read alone, no net battery current.
    EpeverTracer3210a,
    /// EPEver Tracer-AN: as the 3210A, and with rated values and net battery current.
    EpeverTracerAn,
    /// Victron GX, the system service (unit 100).
    VictronSystem,
    /// Victron GX, a battery monitor (its own unit).
    VictronBattery,
    /// Victron GX, a solar charger (its own unit).
    VictronSolarCharger,
    /// Eastron SDM120: one phase, the sum of all loads.
    EastronSdm120,
    /// Eastron SDM630: three phases, one for each tier.
    EastronSdm630,
    /// Algodue UEM: three phases, one for each tier.
    AlgodueUem,
    /// A board of eight relays.
    RelayBoard8,
    /// XY-MD02: temperature and humidity where the battery stands.
    XyMd02,
}

/// Outputs of devices that reach into the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// Coils of the relay board. A board that was just powered has all of them released.
    pub coils: [bool; 8],
    /// Load output of the charge controller.
    pub load_output: bool,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { coils: [false; 8], load_output: true }
    }
}

/// A pause in the middle of an answer: so many bytes of the frame, then silence, then the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) after_bytes: usize,
    pub(crate) lasts: Duration,
}

/// The seam between wire and device.
pub(crate) trait Device: Send {
    /// Answers a request.
    fn answer(
        &mut self,
        request: &Request,
        home: &Readings,
        outputs: &mut Outputs,
    ) -> Result<Response, Exception>;

    /// Whether the answer to this request comes in two bursts; `usual` is how long such pauses last.
    fn pause(&self, _request: &Request, _usual: Duration) -> Option<Pause> {
        None
    }
}

/// A device of this type, just powered.
pub(crate) fn build(model: Model) -> Box<dyn Device> {
    match model {
        Model::EpeverTracer3210a => Box::new(epever::Tracer::new(false)),
        Model::EpeverTracerAn => Box::new(epever::Tracer::new(true)),
        Model::VictronSystem => Box::new(victron::System::default()),
        Model::VictronBattery => Box::new(victron::Battery),
        Model::VictronSolarCharger => Box::new(victron::SolarCharger),
        Model::EastronSdm120 => Box::new(eastron::Meter { three_phase: false }),
        Model::EastronSdm630 => Box::new(eastron::Meter { three_phase: true }),
        Model::AlgodueUem => Box::new(algodue::Meter),
        Model::RelayBoard8 => Box::new(relay_board::Board),
        Model::XyMd02 => Box::new(xy_md02::Sensor),
    }
}

/// Mains voltage behind the inverter, V.
fn mains(home: &Readings) -> f64 {
    if home.disconnected { 0.0 } else { 230.0 }
}

/// Current of a phase, A.
fn phase_current(home: &Readings, watts: f64) -> f64 {
    if home.disconnected { 0.0 } else { watts / 230.0 }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Readings of a sunny noon, for the tests of devices.

    use crate::plant::{Readings, Stage};

    pub(crate) fn noon() -> Readings {
        Readings {
            unix: 1_480_550_400,
            pv_power: 512.34,
            pv_voltage: 68.5,
            charge_power: 491.85,
            stage: Stage::Absorption,
            battery_voltage: 27.61,
            nominal_voltage: 24.0,
            battery_capacity: 100.0,
            battery_current: -3.25,
            battery_temperature: -4.5,
            charge: 0.634,
            load_power: 300.0,
            disconnected: false,
            phases: [46.0, 23.0, 115.0],
            phase_energy: [1000.0, 2000.0, 3000.0],
            generator: 0.0,
            air_temperature: -1.2,
            humidity: 48.7,
            pv_energy: [70_000_000.0, 1234.0],
            load_energy: [6000.0, 450.0],
            pv_voltage_today: [80.0, 0.0],
            battery_voltage_today: [28.1, 24.9],
        }
    }
}
