//! A recorded series played through the reference plant of the power benchmark: one-way efficiency of
//! 95 %, charge power of at most a fifth of the capacity an hour, and a disconnect by state of charge.
//!
//! A row may be played in many steps: what is on can change within it, and with nothing changed the result
//! is that of the row in one step. The disconnect closes only where a row begins, as the reference has it.
//! Voltages and currents are made up from an LFP curve so that instruments have something to show.

use core::time::Duration;

use super::Load;
use super::appliances::{Tier, Wiring};
use super::battery::Chemistry;
use super::charger::Stage;
use super::ledger::Ledger;
use super::readings::{Readings, Today};
use super::recording::{Row, Series, SeriesError};
use sunkeep_models::time::Zone;

/// Share that survives charging, and again discharging.
const EFFICIENCY: f64 = 0.95;
/// Loads are cut at this state of charge.
const FLOOR: f64 = 0.20;
/// Loads come back where a row begins with this state of charge.
const RECONNECT: f64 = 0.30;
/// State of charge at the start.
const START: f64 = 0.80;
/// Largest charge power, of the capacity an hour.
const CHARGE_RATE: f64 = 0.2;
/// Cells in series of the battery that the instruments see.
const CELLS: f64 = 16.0;

/// The reference plant at work on a recorded series. Past the last row nothing shines and nothing is wanted.
#[derive(Debug, Clone)]
pub struct RecordedHome {
    series: Series,
    zone: Zone,
    now_ms: i64,
    energy: f64,
    open: bool,
    permitted: [bool; 3],
    load_output: bool,
    ledger: Ledger,
    phase_energy: [f64; 3],
    readings: Readings,
    today: Today,
    one_meter: bool,
}

/// What a step of the reference plant moved, Wh.
#[derive(Clone, Copy, Default)]
struct Moved {
    served: f64,
    pv_used: f64,
    /// Into the battery's terminals; negative out of them.
    battery: f64,
}

impl RecordedHome {
    /// Starts the series at `start_unix`, or at its first row, with a battery that is 80 % full and all
    /// tiers on.
    pub fn new(series: Series, zone: &str, start_unix: Option<i64>) -> Result<Self, SeriesError> {
        let start = start_unix.unwrap_or(series.start_unix);
        if !(series.start_unix..series.end_unix()).contains(&start) {
            return Err(SeriesError::Outside {
                name: series.name.clone(),
                first: series.start_unix,
                last: series.end_unix(),
                asked: start,
            });
        }
        let zone = Zone::named(zone)?;
        let mut home = Self {
            energy: START * series.battery_wh,
            readings: first_readings(&series, start),
            now_ms: start * 1000,
            open: false,
            permitted: [true; 3],
            load_output: true,
            ledger: Ledger::new(3, START),
            phase_energy: [0.0; 3],
            today: Today::default(),
            one_meter: false,
            zone,
            series,
        };
        let row = home.row();
        home.note_readings(row, Moved::default(), 1.0);
        Ok(home)
    }

    /// The same home with one meter for everything, instead of one for each tier.
    #[must_use]
    pub fn with_one_meter(self) -> Self {
        Self { one_meter: true, ..self }
    }

    /// Whether one meter counts everything, and no other anything.
    pub fn has_one_meter(&self) -> bool {
        self.one_meter
    }

    /// Name of the series.
    pub fn name(&self) -> &str {
        &self.series.name
    }

    /// What is played.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// IANA name of the time zone.
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    /// Greatest power the panels could deliver in the series, W.
    pub fn greatest_pv(&self) -> f64 {
        self.series.rows.iter().map(|row| row.pv).fold(0.0, f64::max)
    }

    /// Most power that goes into the battery, W.
    pub fn most_charged(&self) -> f64 {
        CHARGE_RATE * self.series.battery_wh
    }

    /// Capacity of the battery, Wh.
    pub fn battery_wh(&self) -> f64 {
        self.series.battery_wh
    }

    /// Wall time now, seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// State of charge, 0 to 1.
    pub fn charge(&self) -> f64 {
        self.energy / self.series.battery_wh
    }

    /// What instruments see.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Power the panels give as the row that holds now goes on, W, if the plant will not throttle them in it
    /// with the tiers that are on; `None` if it will.
    pub fn sun_now(&self) -> Option<f64> {
        let row = self.row();
        let open = self.open && self.energy < RECONNECT * self.series.battery_wh;
        let tiers = self.permitted.iter().zip(row.demand);
        let wanted: f64 = tiers.filter(|(permitted, _)| !open && **permitted).map(|(_, watts)| watts).sum();
        let surplus = (row.pv - wanted).max(0.0);
        let room = (self.series.battery_wh - self.energy).max(0.0);
        let stored = surplus * EFFICIENCY * self.series.row_seconds as f64 / 3600.0;
        let throttled = surplus > CHARGE_RATE * self.series.battery_wh || (surplus > 0.0 && stored > room);
        (!throttled).then_some(row.pv)
    }

    /// What each tier wants at a moment of the series, W: the truth, to judge an estimate by.
    pub fn wanted_at(&self, unix: i64) -> Option<[f64; 3]> {
        let place = (unix - self.series.start_unix).div_euclid(self.series.row_seconds);
        Some(self.series.rows.get(usize::try_from(place).ok()?)?.demand)
    }

    /// Where the energy went.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The three tiers as loads. Where no meter ever told what a tier draws, their plates say alike: together
    /// what empties the battery in a day.
    pub fn loads(&self) -> Vec<Load> {
        let alike = self.series.battery_wh / 24.0 / 3.0;
        let greatest =
            |tier: Tier| self.series.rows.iter().map(|row| row.demand[tier.index()]).fold(0.0, f64::max);
        (Tier::ALL.into_iter().zip(0..))
            .map(|(tier, coil)| Load {
                name: ["critical", "important", "convenience"][tier.index()].into(),
                tier,
                power: if self.one_meter { alike } else { greatest(tier) },
                coil,
                wiring: if tier == Tier::Convenience { Wiring::NormallyOpen } else { Wiring::NormallyClosed },
            })
            .collect()
    }

    /// Lets the relay of a tier pass current, or not. Unknown places are ignored.
    pub fn permit(&mut self, tier: usize, allowed: bool) {
        if self.permitted.get(tier).is_some_and(|permitted| *permitted != allowed) {
            self.permitted[tier] = allowed;
            self.ledger.switches[tier] += 1;
        }
    }

    /// Sets the state the relays have before anything was switched: nothing is counted.
    pub fn permit_first(&mut self, tier: usize, allowed: bool) {
        if let Some(permitted) = self.permitted.get_mut(tier) {
            *permitted = allowed;
        }
    }

    /// Switches the output behind which all loads hang.
    pub fn switch_load_output(&mut self, on: bool) {
        self.load_output = on;
    }

    /// Moves the home on.
    pub fn advance(&mut self, span: Duration) {
        let end = self.now_ms + span.as_millis() as i64;
        let (start, row) = (self.series.start_unix * 1000, self.series.row_seconds * 1000);
        while self.now_ms < end {
            let into_row = (self.now_ms - start).rem_euclid(row);
            if into_row == 0 && self.open && self.energy >= RECONNECT * self.series.battery_wh {
                self.open = false;
            }
            let until = end.min(self.now_ms - into_row + row);
            self.flow((until - self.now_ms) as f64 / 3_600_000.0);
            self.now_ms = until;
        }
        self.readings.unix = self.unix();
        let day = self.zone.local(self.unix()).day;
        self.today.note(day, &mut self.readings);
    }

    fn row(&self) -> Row {
        let place = (self.now_ms / 1000 - self.series.start_unix).div_euclid(self.series.row_seconds);
        let row = usize::try_from(place).ok().and_then(|place| self.series.rows.get(place));
        row.copied().unwrap_or(Row { pv: 0.0, demand: [0.0; 3] })
    }

    fn flow(&mut self, hours: f64) {
        let row = self.row();
        let was_open = self.open;
        let mut want = [0.0; 3];
        if !self.open && self.load_output {
            for (tier, watts) in want.iter_mut().enumerate() {
                *watts = if self.permitted[tier] { row.demand[tier] * hours } else { 0.0 };
            }
        }
        let before = self.energy;
        let moved = self.play(want.iter().sum(), row.pv * hours, hours);
        let wanted: f64 = want.iter().sum();
        let share = if wanted > 0.0 { moved.served / wanted } else { 1.0 };
        let ledger = &mut self.ledger;
        ledger.seconds += hours * 3600.0;
        ledger.pv_available += row.pv * hours;
        ledger.pv_used += moved.pv_used;
        ledger.charged += moved.battery.max(0.0);
        ledger.discharged += (-moved.battery).max(0.0);
        ledger.stored += self.energy - before;
        ledger.battery_loss += moved.pv_used - moved.served - (self.energy - before);
        for (tier, want) in want.iter().enumerate() {
            let served = want * share;
            let missing = row.demand[tier] * hours - served;
            ledger.served[tier] += served;
            ledger.unserved[tier] += missing;
            ledger.unserved_seconds[tier] += if missing > 1e-6 { hours * 3600.0 } else { 0.0 };
            self.phase_energy[tier] += served;
        }
        ledger.disconnects += u32::from(self.open && !was_open);
        ledger.disconnected_seconds += if self.open { hours * 3600.0 } else { 0.0 };
        let charge = self.energy / self.series.battery_wh;
        ledger.least_charge = ledger.least_charge.min(charge);
        ledger.greatest_charge = ledger.greatest_charge.max(charge);
        self.note_readings(row, moved, hours);
    }

    /// The reference plant: `want` and `pv` are the energies of the step, Wh.
    fn play(&mut self, want: f64, pv: f64, hours: f64) -> Moved {
        let capacity = self.series.battery_wh;
        let charge_limit = CHARGE_RATE * capacity * hours;
        let net = want - pv;
        if net <= 0.0 {
            let taken = (-net).min(charge_limit).min((capacity - self.energy).max(0.0) / EFFICIENCY);
            self.energy = capacity.min(self.energy + EFFICIENCY * taken);
            return Moved { served: want, pv_used: want + taken, battery: taken };
        }
        let available = (self.energy - FLOOR * capacity).max(0.0) * EFFICIENCY;
        if available >= net {
            self.energy -= net / EFFICIENCY;
            return Moved { served: want, pv_used: pv, battery: -net };
        }
        let share = available / net;
        self.open = true;
        let taken = pv.min(charge_limit) * (1.0 - share);
        self.energy = FLOOR * capacity + EFFICIENCY * taken;
        Moved { served: want * share, pv_used: pv * share + taken, battery: taken - available }
    }

    fn note_readings(&mut self, row: Row, moved: Moved, hours: f64) {
        let charge = self.charge();
        let power = moved.battery / hours;
        let rest = CELLS * Chemistry::Lfp.cell_voltage(charge);
        // One hundredth of the voltage is lost at the largest charge power.
        let resistance = 0.01 * rest * rest / (CHARGE_RATE * self.series.battery_wh);
        let voltage = rest + power / rest * resistance;
        let wanted: f64 =
            row.demand.iter().zip(self.permitted).map(|(watts, on)| if on { *watts } else { 0.0 }).sum();
        let share = if wanted > 0.0 { moved.served / hours / wanted } else { 0.0 };
        let readings = &mut self.readings;
        readings.pv_power = moved.pv_used / hours;
        readings.pv_voltage = if row.pv > 0.0 { 100.0 } else { 0.0 };
        readings.charge_power = readings.pv_power;
        readings.stage = match (row.pv > 0.0, charge >= 0.999) {
            (false, _) => Stage::Off,
            (true, false) => Stage::Bulk,
            (true, true) => Stage::Float,
        };
        readings.battery_voltage = voltage;
        readings.battery_current = power / voltage;
        readings.charge = charge;
        readings.load_power = moved.served / hours;
        readings.disconnected = self.open;
        for tier in 0..3 {
            readings.phases[tier] = if self.permitted[tier] { row.demand[tier] * share } else { 0.0 };
        }
        readings.phase_energy = self.phase_energy;
        readings.pv_energy[0] = self.ledger.pv_used;
        readings.load_energy[0] = self.ledger.served.iter().sum();
    }
}

fn first_readings(series: &Series, start: i64) -> Readings {
    Readings {
        unix: start,
        pv_power: 0.0,
        pv_voltage: 0.0,
        charge_power: 0.0,
        stage: Stage::Off,
        battery_voltage: CELLS * Chemistry::Lfp.cell_voltage(START),
        nominal_voltage: 48.0,
        battery_capacity: series.battery_wh / (CELLS * 3.2),
        battery_current: 0.0,
        battery_temperature: 25.0,
        charge: START,
        load_power: 0.0,
        disconnected: false,
        phases: [0.0; 3],
        phase_energy: [0.0; 3],
        generator: 0.0,
        air_temperature: 25.0,
        humidity: 50.0,
        pv_energy: [0.0; 2],
        load_energy: [0.0; 2],
        pv_voltage_today: [0.0; 2],
        battery_voltage_today: [0.0; 2],
    }
}
