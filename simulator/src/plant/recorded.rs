//! A recorded series played through the reference plant of the power benchmark: one-way efficiency of
//! 95 %, charge power of at most a fifth of the capacity an hour, and a disconnect by state of charge.
//!
//! A row may be played in many steps: what is on can change within it, and with nothing changed the result
//! is that of the row in one step. The disconnect closes only where a row begins, as the reference has it.
//! Voltages and currents are made up from an LFP curve so that instruments have something to show.

use core::time::Duration;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::Load;
use super::appliances::{Tier, Wiring};
use super::battery::Chemistry;
use super::charger::Stage;
use super::ledger::Ledger;
use super::readings::{Readings, Today};
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
/// Longest series that is read, rows.
const MOST_ROWS: usize = 1_000_000;
/// Longest line of a series, bytes.
const LONGEST_LINE: usize = 1024;
const HEADER: &str = "timestamp,pv_w,critical_w,important_w,convenience_w";

/// One row of a recorded series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Power the panels could deliver, W.
    pub pv: f64,
    /// Demand of each tier while it is on, W.
    pub demand: [f64; 3],
}

/// A recorded series and the battery that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// File name without its ending.
    pub name: String,
    /// Capacity of the battery, Wh.
    pub battery_wh: f64,
    /// Start of the first row, seconds since 1970.
    pub start_unix: i64,
    /// Length of a row, s.
    pub row_seconds: i64,
    /// The rows, without gaps.
    pub rows: Vec<Row>,
}

/// Why a recorded series cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}, line {line}: {why}")]
    Malformed {
        /// Which file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What was read and what was expected.
        why: String,
    },
    /// The series does not reach the asked start.
    #[error("the series {name} runs from {first} to {last} (seconds since 1970); {asked} is outside")]
    Outside {
        /// Name of the series.
        name: String,
        /// Its first second.
        first: i64,
        /// The second after its last.
        last: i64,
        /// The start that was asked for.
        asked: i64,
    },
    /// The time zone is unknown.
    #[error(transparent)]
    Zone(#[from] sunkeep_models::time::UnknownZone),
}

impl Series {
    /// Reads `NAME.csv` and the battery from `NAME.json` beside it.
    pub fn read(csv: &Path) -> Result<Self, SeriesError> {
        let battery_wh = read_battery(&csv.with_extension("json"))?;
        let shown = csv.display().to_string();
        let unreadable = |source| SeriesError::Unreadable { path: shown.clone(), source };
        let malformed = |line: usize, why: String| SeriesError::Malformed { path: shown.clone(), line, why };
        let mut reader = BufReader::new(File::open(csv).map_err(unreadable)?);
        let (mut rows, mut times) = (Vec::new(), [0_i64; 2]);
        for number in 1..=MOST_ROWS + 2 {
            let Some(line) = bounded_line(&mut reader).map_err(unreadable)? else { break };
            if number == 1 {
                if line != HEADER {
                    return Err(malformed(1, format!("the header is {line:?}, expected {HEADER:?}")));
                }
                continue;
            }
            let (unix, row) = parse_row(&line).map_err(|why| malformed(number, why))?;
            if rows.len() < 2 {
                times[rows.len()] = unix;
            }
            let expected = times[0] + rows.len() as i64 * (times[1] - times[0]);
            if rows.len() >= 2 && unix != expected {
                let why = format!("the row is for {unix}, expected {expected} (seconds since 1970)");
                return Err(malformed(number, why));
            }
            rows.push(row);
        }
        let row_seconds = times[1] - times[0];
        if rows.len() < 2 || rows.len() > MOST_ROWS || row_seconds <= 0 {
            return Err(malformed(rows.len(), format!("expected 2 to {MOST_ROWS} rows, in order of time")));
        }
        let name = csv.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { name, battery_wh, start_unix: times[0], row_seconds, rows })
    }

    /// The second after the last row.
    pub fn end_unix(&self) -> i64 {
        self.start_unix + self.rows.len() as i64 * self.row_seconds
    }
}

/// A line without its ending; `None` at the end of the file. Longer lines are cut, and so refused later.
fn bounded_line(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *reader, LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
}

fn parse_row(line: &str) -> Result<(i64, Row), String> {
    let fields: Vec<_> = line.split(',').collect();
    let [time, numbers @ ..] = fields.as_slice() else { return Err("the line is empty".into()) };
    let unix = (time.parse::<jiff::Timestamp>())
        .map_err(|error| format!("{time:?} is no time in UTC: {error}"))?
        .as_second();
    let mut values = [0.0; 4];
    if numbers.len() != values.len() {
        return Err(format!("{} columns, expected 5", fields.len()));
    }
    for (value, text) in values.iter_mut().zip(numbers) {
        *value = (text.parse::<f64>().ok())
            .filter(|watts| watts.is_finite() && *watts >= 0.0)
            .ok_or_else(|| format!("{text:?} is no power, expected a number of at least 0"))?;
    }
    Ok((unix, Row { pv: values[0], demand: [values[1], values[2], values[3]] }))
}

fn read_battery(path: &Path) -> Result<f64, SeriesError> {
    #[derive(serde::Deserialize)]
    struct Sizing {
        battery_wh: f64,
    }
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| SeriesError::Unreadable { path: shown.clone(), source })?;
    let malformed = |line: usize, why: String| SeriesError::Malformed { path: shown.clone(), line, why };
    let sizing: Sizing =
        serde_json::from_str(&text).map_err(|error| malformed(error.line(), error.to_string()))?;
    if sizing.battery_wh.is_finite() && sizing.battery_wh > 0.0 {
        return Ok(sizing.battery_wh);
    }
    Err(malformed(1, format!("battery_wh is {}, expected more than 0", sizing.battery_wh)))
}

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
            zone,
            series,
        };
        let row = home.row();
        home.note_readings(row, Moved::default(), 1.0);
        Ok(home)
    }

    /// Name of the series.
    pub fn name(&self) -> &str {
        &self.series.name
    }

    /// IANA name of the time zone.
    pub fn zone(&self) -> &str {
        self.zone.name()
    }

    /// Greatest power the panels could deliver in the series, W.
    pub fn greatest_pv(&self) -> f64 {
        self.series.rows.iter().map(|row| row.pv).fold(0.0, f64::max)
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

    /// Where the energy went.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The three tiers as loads.
    pub fn loads(&self) -> Vec<Load> {
        (Tier::ALL.into_iter().zip(0..))
            .map(|(tier, coil)| Load {
                name: ["critical", "important", "convenience"][tier.index()].into(),
                tier,
                power: self.series.rows.iter().map(|row| row.demand[tier.index()]).fold(0.0, f64::max),
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
