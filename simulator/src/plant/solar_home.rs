//! The synthetic home: weather, panels, charge controller, battery and people, put together. Pure: it is
//! moved on by [`SolarHome::advance`] and knows no other clock.

use core::time::Duration;

use sunkeep_models::time::Zone;

use super::appliances::{Appliance, Surroundings};
use super::battery::Battery;
use super::chance::{Chance, stream};
use super::charger::{Charger, Disconnect, Stage};
use super::home_spec::HomeSpec;
use super::ledger::Ledger;
use super::panels::Offer;
use super::readings::{Readings, Today};
use super::sun;
use super::wear::Work;
use super::weather::Weather;

/// Why a home cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Its time zone is unknown.
    #[error(transparent)]
    Zone(#[from] sunkeep_models::time::UnknownZone),
}

/// A home under the sun.
#[derive(Debug, Clone)]
pub struct SolarHome {
    spec: HomeSpec,
    zone: Zone,
    weather: Weather,
    appliances: Vec<Appliance>,
    battery: Battery,
    charger: Charger,
    hardware: Disconnect,
    permitted: Vec<bool>,
    load_output: bool,
    now_ms: i64,
    grain_ms: i64,
    offer: Offer,
    ledger: Ledger,
    phase_energy: [f64; 3],
    load_energy: f64,
    readings: Readings,
    today: Today,
}

/// What the sources give in a step and what the battery takes.
struct Settled {
    current: f64,
    pv: f64,
    generator: f64,
    held: bool,
}

const MINUTE_MS: i64 = 60_000;

impl SolarHome {
    /// Builds the home of this specification, at its start.
    pub fn new(spec: HomeSpec) -> Result<Self, HomeError> {
        let zone = Zone::named(&spec.zone)?;
        let seed = spec.seed;
        let weather = Weather::new(seed, spec.climate);
        let appliances: Vec<_> = (spec.appliances.iter().zip(stream::APPLIANCE..))
            .map(|(appliance, entity)| Appliance::new(appliance.clone(), Chance::new(seed, entity)))
            .collect();
        let battery = Battery::new(spec.battery, weather.temperature());
        let now_ms = spec.start_unix * 1000;
        let mut home = Self {
            permitted: vec![true; appliances.len()],
            load_output: true,
            ledger: Ledger::new(appliances.len(), battery.charge()),
            readings: dark_readings(&spec, &battery),
            charger: Charger::new(spec.charger),
            hardware: Disconnect::new(&spec.charger),
            grain_ms: 10_000,
            offer: Offer::default(),
            phase_energy: [0.0; 3],
            load_energy: 0.0,
            today: Today::default(),
            zone,
            weather,
            appliances,
            battery,
            now_ms,
            spec,
        };
        home.minute();
        home.note_readings(0.0, 0.0, 0.0, [0.0; 3]);
        Ok(home)
    }

    /// Computes in steps of at most this length; 10 s unless told. Longer is faster and coarser.
    #[must_use]
    pub fn with_grain(mut self, grain: Duration) -> Self {
        self.grain_ms = (grain.as_millis() as i64).clamp(1000, MINUTE_MS);
        self
    }

    /// What it was built from.
    pub fn spec(&self) -> &HomeSpec {
        &self.spec
    }

    /// Lets a relay pass current to an appliance, or not. Unknown places are ignored.
    pub fn permit(&mut self, appliance: usize, allowed: bool) {
        if let Some(permitted) = self.permitted.get_mut(appliance)
            && *permitted != allowed
        {
            *permitted = allowed;
            self.ledger.switches[appliance] += 1;
        }
    }

    /// Sets the state the relays have before anything was switched: nothing is counted.
    pub fn permit_first(&mut self, appliance: usize, allowed: bool) {
        if let Some(permitted) = self.permitted.get_mut(appliance) {
            *permitted = allowed;
        }
    }

    /// Switches the charge controller's load output, behind which all appliances hang.
    pub fn switch_load_output(&mut self, on: bool) {
        self.load_output = on;
    }

    /// Wall time now, seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// What instruments see.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Where the energy went.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Demand of every appliance now, W, whether it gets it or not.
    pub fn demand(&self) -> f64 {
        self.appliances.iter().map(Appliance::demand).sum()
    }

    /// What an appliance draws now, W, as a meter of its own would show; nothing where it gets no power.
    pub fn drawn(&self, appliance: usize) -> f64 {
        self.appliances.get(appliance).filter(|_| self.is_powered(appliance)).map_or(0.0, Appliance::demand)
    }

    /// Moves the home on.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now_ms + span.as_millis() as i64;
        while self.now_ms < end {
            let next_minute = self.now_ms - self.now_ms.rem_euclid(MINUTE_MS) + MINUTE_MS;
            let until = (self.now_ms + self.grain_ms).min(end).min(next_minute);
            self.flow((until - self.now_ms) as f64 / 1000.0);
            self.now_ms = until;
            if self.now_ms == next_minute {
                self.minute();
            }
        }
    }

    fn is_powered(&self, appliance: usize) -> bool {
        self.permitted[appliance] && self.load_output && !self.hardware.is_open()
    }

    /// The sky, the air and the people move on by a minute.
    fn minute(&mut self) {
        let unix = self.unix();
        let local = self.zone.local(unix);
        let hour = local.second_of_day as f64 / 3600.0;
        self.weather.minute(local.day, f64::from(local.day_of_year), hour);
        let sun = sun::position(unix as f64, self.spec.latitude, self.spec.longitude);
        let array = self.spec.array;
        let mount = sun::Orientation { tilt: array.tilt, azimuth: array.azimuth };
        let irradiance =
            sun::plane_of_array(&sun, mount, self.weather.clear_sky_index(), self.weather.transmittance());
        self.offer = array.offer(irradiance, self.weather.temperature());
        let around = Surroundings {
            hour,
            weekend: local.weekday >= 5,
            dark: sun.cos_zenith < 0.03,
            temperature: self.weather.temperature(),
        };
        for place in 0..self.appliances.len() {
            let powered = self.is_powered(place);
            self.appliances[place].minute(around, powered);
        }
    }

    /// Power of the generator now, W.
    fn generator(&self) -> f64 {
        let since_start = self.now_ms / 1000 - self.spec.start_unix;
        self.spec.generator.iter().filter(|run| run.covers(since_start)).map(|run| run.power).sum()
    }

    /// What flows when `load` W are drawn on the battery side; `None` where the battery cannot give it.
    fn settle(&self, load: f64, pv: f64, generator: f64, seconds: f64) -> Option<Settled> {
        let battery = &self.battery;
        let deliverable = |current: f64| battery.bounded(current, seconds) <= current + 1e-9;
        let current = battery.current_for(pv + generator - load)?;
        let set = self.charger.set_voltage(battery.temperature());
        let limit = battery.bounded(battery.current_at(set), seconds);
        if current <= limit {
            return deliverable(current).then_some(Settled { current, pv, generator, held: false });
        }
        let voltage = battery.voltage_at(limit);
        let source = (voltage * limit + load).clamp(0.0, pv + generator);
        let (pv, generator) = (pv.min(source), generator.min(source - pv.min(source)));
        let current = battery.current_for(pv + generator - load)?;
        deliverable(current).then_some(Settled { current, pv, generator, held: true })
    }

    /// Energy flows for `seconds`, at most a minute.
    fn flow(&mut self, seconds: f64) {
        let efficiency = self.spec.charger.efficiency;
        let most = self.spec.charger.current_limit * self.battery.voltage();
        let pv = (self.offer.power * efficiency).min(most);
        let generator = self.generator();
        let was_open = self.hardware.is_open();
        let mut phases = self.served_phases();
        let mut standing = self.spec.standing;
        let settled =
            self.settle(self.battery_side(phases) + standing, pv, generator, seconds).or_else(|| {
                self.hardware.collapse();
                phases = [0.0; 3];
                self.settle(standing, pv, generator, seconds).or_else(|| {
                    standing = 0.0;
                    self.settle(0.0, pv, generator, seconds)
                })
            });
        let settled = settled.unwrap_or(Settled { current: 0.0, pv: 0.0, generator: 0.0, held: false });
        let load = self.battery_side(phases);
        let flow = self.battery.carry(settled.current, seconds, self.weather.temperature());
        let hours = seconds / 3600.0;
        self.account_sources(&settled, hours, flow.terminal);
        self.ledger.battery_loss += flow.terminal - flow.stored;
        self.ledger.stored += flow.stored;
        self.ledger.standing += standing * hours;
        self.ledger.conversion_loss += (load - phases.iter().sum::<f64>()) * hours;
        self.account_loads(phases, seconds);
        self.load_energy += load * hours;
        self.charger.observe(
            seconds,
            self.offer.power,
            self.battery.voltage(),
            self.battery.current(),
            settled.held,
        );
        self.hardware.observe(self.battery.voltage(), seconds);
        self.ledger.disconnects += u32::from(!was_open && self.hardware.is_open());
        self.ledger.disconnected_seconds += if self.hardware.is_open() { seconds } else { 0.0 };
        // What the hardware has just cut, instruments see no more.
        let seen = if self.hardware.is_open() { 0.0 } else { 1.0 };
        self.note_readings(settled.pv, settled.generator, load * seen, phases.map(|watts| watts * seen));
    }

    /// Power of each phase that gets it, W.
    fn served_phases(&self) -> [f64; 3] {
        let mut phases = [0.0; 3];
        for (place, appliance) in self.appliances.iter().enumerate() {
            if self.is_powered(place) {
                phases[appliance.spec.tier.index()] += appliance.demand();
            }
        }
        phases
    }

    /// What these phases draw from the battery through the inverter, W.
    fn battery_side(&self, phases: [f64; 3]) -> f64 {
        let power: f64 = phases.iter().sum();
        if power > 0.0 { power / self.spec.inverter_efficiency + self.spec.inverter_idle } else { 0.0 }
    }

    fn account_sources(&mut self, settled: &Settled, hours: f64, terminal: f64) {
        let ledger = &mut self.ledger;
        let used = settled.pv / self.spec.charger.efficiency;
        ledger.seconds += hours * 3600.0;
        ledger.pv_available += self.offer.power * hours;
        ledger.pv_used += used * hours;
        ledger.conversion_loss += (used - settled.pv) * hours;
        ledger.generator += settled.generator * hours;
        ledger.charged += terminal.max(0.0);
        ledger.discharged += (-terminal).max(0.0);
        ledger.least_charge = ledger.least_charge.min(self.battery.charge());
        ledger.greatest_charge = ledger.greatest_charge.max(self.battery.charge());
    }

    fn account_loads(&mut self, phases: [f64; 3], seconds: f64) {
        let hours = seconds / 3600.0;
        let mut wanted = [0.0; 3];
        for appliance in &self.appliances {
            wanted[appliance.spec.tier.index()] += appliance.demand();
        }
        for tier in 0..3 {
            let missing = wanted[tier] - phases[tier];
            self.ledger.served[tier] += phases[tier] * hours;
            self.ledger.unserved[tier] += missing * hours;
            self.ledger.unserved_seconds[tier] += if missing > 1e-9 { seconds } else { 0.0 };
            self.phase_energy[tier] += phases[tier] * hours;
        }
    }

    fn note_readings(&mut self, pv: f64, generator: f64, load: f64, phases: [f64; 3]) {
        let used = pv / self.spec.charger.efficiency;
        let readings = &mut self.readings;
        readings.unix = self.now_ms.div_euclid(1000);
        readings.pv_power = used;
        readings.pv_voltage = self.offer.voltage_at(used);
        readings.charge_power = pv;
        readings.stage = self.charger.stage();
        readings.battery_voltage = self.battery.voltage();
        readings.battery_current = self.battery.current();
        readings.battery_temperature = self.battery.temperature();
        readings.charge = self.battery.charge();
        readings.load_power = load;
        readings.disconnected = self.hardware.is_open();
        readings.phases = phases;
        readings.phase_energy = self.phase_energy;
        readings.generator = generator;
        readings.air_temperature = self.weather.temperature();
        readings.humidity = self.weather.humidity();
        readings.pv_energy[0] = self.ledger.pv_used;
        readings.load_energy[0] = self.load_energy;
        let day = self.zone.local(readings.unix).day;
        self.today.note(day, readings);
    }

    /// State of charge, 0 to 1.
    pub fn charge(&self) -> f64 {
        self.battery.charge()
    }

    /// What the battery does now, for a step of so many hours.
    pub fn work(&self, hours: f64) -> Work {
        let spec = self.battery.spec();
        Work {
            hours,
            current: self.battery.current(),
            cell: self.battery.voltage() / f64::from(spec.cells),
            rest: spec.chemistry.cell_voltage(self.battery.charge()),
            charge: self.battery.charge(),
            temperature: self.battery.temperature(),
        }
    }

    /// Energy in the battery above empty, Wh.
    pub fn battery_energy(&self) -> f64 {
        self.battery.energy()
    }

    /// Stage of the charge controller.
    pub fn stage(&self) -> Stage {
        self.charger.stage()
    }
}

/// Readings of a home at rest in the dark.
fn dark_readings(spec: &HomeSpec, battery: &Battery) -> Readings {
    let cell = match spec.battery.chemistry {
        super::Chemistry::Lfp => 3.2,
        super::Chemistry::LeadAcid => 2.0,
    };
    Readings {
        unix: spec.start_unix,
        pv_power: 0.0,
        pv_voltage: 0.0,
        charge_power: 0.0,
        stage: Stage::Off,
        battery_voltage: battery.voltage(),
        nominal_voltage: (f64::from(battery.spec().cells) * cell / 12.0).round() * 12.0,
        battery_capacity: battery.spec().capacity,
        battery_current: 0.0,
        battery_temperature: battery.temperature(),
        charge: battery.charge(),
        load_power: 0.0,
        disconnected: false,
        phases: [0.0; 3],
        phase_energy: [0.0; 3],
        generator: 0.0,
        air_temperature: spec.climate.mean_temperature,
        humidity: 50.0,
        pv_energy: [0.0; 2],
        load_energy: [0.0; 2],
        pv_voltage_today: [0.0; 2],
        battery_voltage_today: [0.0; 2],
    }
}
