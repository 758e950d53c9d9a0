//! How a lead-acid battery wears: the weighted ampere-hour model of Schiffer et al. Pure; it is told what the
//! battery does and touches nothing.
//!
//! Not every ampere-hour wears alike. One that is drawn long after the last full charge, from a battery that was
//! deeply discharged since, with small currents before and with layered acid, counts for several. Beside that
//! the grid of the positive electrode corrodes, fastest at low and at high voltage and in the heat.
//!
//! Sources. J. Schiffer, D. U. Sauer, H. Bindner, T. Cronin, P. Lundsager, R. Kaiser, "Model prediction for
//! ranking lead-acid batteries according to expected lifetime in renewable energy systems and autonomous
//! power-supply systems", J. Power Sources 168 (2007) 66-78. Of the paper itself only the first page could be
//! read; its equations and constants are taken from two published implementations that name them:
//! github.com/Battery-Intelligence-Lab/SLIDE (`src/cells/Cell_PbA`, here "S") and
//! github.com/guicapanema/schiffer-battery-lifetime (`main.c`, here "G", which cites each equation by number,
//! some of them from R. Dufo-López et al., Applied Energy 115 (2014) 242-253, and the curve of corrosion from
//! H. Bindner et al., Risø-R-1515, figure 11). Where they differ, the choice is said at its place:
//!
//! - Only discharge is weighted (S); G counts both directions.
//! - The reference current is the ten-hour current (G); S has 55 A, which is that of a battery of 550 Ah.
//! - Full is 99.99 % (S); G forgets the time since full at 90 %.
//! - Diffusion constant of the acid 20e-9 m²/s (S); G has 1e-9. Voltage coefficient of gassing 11 /V (S); G has
//!   0.167 where gassing stirs the acid.
//! - Both have 0.8 as limit of the loss by degradation. Life ends at 80 % of the capacity, so 0.8 is read as what
//!   is left: the loss of capacity at its limit is 0.2 by degradation, and 0.2 by corrosion (G).
//! - The voltage above or below rest is the plant's own, not that of the paper's voltage equation, of which half
//!   falls to the positive electrode (both).
//! - When a battery leaves the range of a charged one, the current that sets how coarse the crystals of sulphate
//!   become is the mean of the discharge since it was fullest; G takes that of the moment. Our reading.

/// Factors of the influence of the state of charge, 1/h (S, G).
const SINCE_FULL: f64 = 6.614e-5;
const SINCE_FULL_BY_DEPTH: f64 = 3.307e-3;
/// State of charge from which on a battery was charged, well or badly (S, G).
const CHARGED: f64 = 0.90;
/// The worst charge: fullest at this (S, G), with the square of how far others may be from it.
const BAD_CHARGE: f64 = 0.95;
const BAD_WIDTH: f64 = 0.0025;
/// State of charge from which on a battery is full (S).
const FULL: f64 = 0.9999;
/// Bad charges that triple the exponent's unit: a third of them, over 3.6 (G).
const BAD_SCALE: f64 = 3.0 * 3.6;
/// Increase of layering, 1/h, and its decrease by gassing, 1/h (S, G).
const LAYERING: f64 = 1.0 / 30.0;
const STIRRING: f64 = 0.1;
/// Voltages of a cell: where gassing begins to stir, and at which it stirs by [`STIRRING`] (S).
const STIRS_ABOVE: f64 = 2.3;
const STIRS_FULLY: f64 = 2.5;
/// Voltage and temperature coefficients of gassing, 1/V and 1/K (S, G).
const GAS_BY_VOLTAGE: f64 = 11.0;
const GAS_BY_KELVIN: f64 = 0.06;
/// Diffusion constant of sulphuric acid at 20 °C, m²/s (S).
const DIFFUSION: f64 = 20e-9;
/// Exponent of the loss by degradation (S, G).
const STEEPNESS: f64 = 5.0;
/// Weighted cycles of a life, of the data sheet's (S, G).
const WEIGHTED_OF_RATED: f64 = 1.6;
/// Corrosion voltage of a full cell at rest, V, and how it falls with the depth of discharge (S, G).
const CORROSION_VOLTAGE: f64 = 1.75;
const CORROSION_BY_DEPTH: f64 = 10.0 / 13.0 * 0.076;
/// Below this voltage the layer grows ever more slowly (S, G).
const SLOWS_BELOW: f64 = 1.74;
const SLOWED: f64 = 0.6;
/// Corrosion doubles with so many kelvin (S, G); the curve is for this temperature, °C.
const DOUBLES: f64 = 15.0;
const CURVE_AT: f64 = 25.0;
/// Voltage of a cell in float by which its float life is stated, V (S, G), and the rest voltage of a full one.
const FLOAT: f64 = 2.23;
const FULL_AT_REST: f64 = 2.1;
/// Loss of capacity at which a battery is worn out.
const WORN_OUT: f64 = 0.2;
const HOURS_A_YEAR: f64 = 8766.0;
/// Longest life that is told, years.
const LONGEST: f64 = 100.0;

/// Corrosion voltage, V, and how fast the layer grows (Lander's curve as in Risø-R-1515, figure 11, read off in G).
const LANDER: [(f64, f64); 13] = [
    (0.0, 0.053_305),
    (0.5, 0.055_084),
    (1.576, 0.346_755),
    (1.598, 0.666_663),
    (1.664, 0.368_389),
    (1.686, 0.347_145),
    (1.709, 0.048_716),
    (1.739, 0.016_842),
    (1.950, 0.017_591),
    (2.029, 0.177_787),
    (2.099, 0.615_137),
    (2.151, 2.001_25),
    (2.184, 5.007_77),
];

/// What a data sheet says of a battery's life.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WearSpec {
    /// Capacity at the ten-hour rate, Ah.
    pub capacity: f64,
    /// Full cycles of the standard test.
    pub cycles: f64,
    /// Life in float, years.
    pub float_years: f64,
    /// At this temperature, °C.
    pub float_temperature: f64,
    /// Height of the plates, m.
    pub height: f64,
}

impl WearSpec {
    /// A battery of this capacity, Ah, with the life of the example in S: 600 cycles, 10 years, plates of 20 cm.
    pub fn usual(capacity: f64) -> Self {
        Self { capacity, cycles: 600.0, float_years: 10.0, float_temperature: CURVE_AT, height: 0.20 }
    }

    /// Thickness of the layer at the end of the float life.
    fn worn_layer(&self) -> f64 {
        let voltage = CORROSION_VOLTAGE + 0.5 * (FLOAT - FULL_AT_REST);
        self.float_years * HOURS_A_YEAR * corrosion(voltage, self.float_temperature)
    }
}

/// What a battery does in a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// Length of the step, h.
    pub hours: f64,
    /// Current, A, positive into the battery.
    pub current: f64,
    /// Voltage of a cell, V.
    pub cell: f64,
    /// Voltage that a cell would have at rest, V.
    pub rest: f64,
    /// State of charge, 0 to 1.
    pub charge: f64,
    /// Temperature, °C.
    pub temperature: f64,
}

/// The wear of a battery so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Wear {
    spec: WearSpec,
    hours: f64,
    cycles: f64,
    weighted: f64,
    layer: f64,
    layering: f64,
    since_full: f64,
    lowest: f64,
    bad_charges: f64,
    current_factor: f64,
    /// While charged: the fullest it was, and the ampere-hours and hours of discharge since.
    fullest: Option<f64>,
    drawn: [f64; 2],
}

impl Wear {
    /// A new battery.
    pub fn new(spec: WearSpec) -> Self {
        Self {
            spec,
            hours: 0.0,
            cycles: 0.0,
            weighted: 0.0,
            layer: 0.0,
            layering: 0.0,
            since_full: 0.0,
            lowest: 1.0,
            bad_charges: 0.0,
            current_factor: 1.0,
            fullest: None,
            drawn: [0.0; 2],
        }
    }

    /// Takes a step of at most an hour.
    pub fn step(&mut self, work: Work) {
        self.hours += work.hours;
        self.corrode(&work);
        if work.current < 0.0 {
            let drawn = -work.current * work.hours / self.spec.capacity;
            self.cycles += drawn;
            self.weighted += drawn * self.by_charge() * self.by_layering(-work.current);
        }
        self.layer_acid(&work);
        self.note_charge(&work);
    }

    /// Ampere-hours drawn, in capacities.
    pub fn cycles(&self) -> f64 {
        self.cycles
    }

    /// The same, weighted by how they wear.
    pub fn weighted(&self) -> f64 {
        self.weighted
    }

    /// Hours since the battery was full.
    pub fn since_full(&self) -> f64 {
        self.since_full
    }

    /// Part of its life by degradation that is used up: 1 where the weighted cycles are those of a life.
    pub fn degraded(&self) -> f64 {
        self.weighted / (WEIGHTED_OF_RATED * self.spec.cycles)
    }

    /// Part of its life in float that is used up.
    pub fn corroded(&self) -> f64 {
        self.layer / self.spec.worn_layer()
    }

    /// Loss of capacity, 0 to 1.
    pub fn lost(&self) -> f64 {
        loss(self.degraded(), self.corroded())
    }

    /// Years until the battery is worn out if it goes on as until now, a hundred at most.
    pub fn years(&self) -> f64 {
        let lived = self.hours / HOURS_A_YEAR;
        let worn = |years: f64| loss(self.degraded() * years / lived, self.corroded() * years / lived);
        let (mut low, mut high) = (0.0, LONGEST);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            *(if worn(middle) < WORN_OUT { &mut low } else { &mut high }) = middle;
        }
        f64::midpoint(low, high)
    }

    /// Influence of the state of charge: of the time since the last full charge and the deepest discharge since.
    fn by_charge(&self) -> f64 {
        let rate = SINCE_FULL + SINCE_FULL_BY_DEPTH * (1.0 - self.lowest);
        1.0 + rate * self.current_factor * self.since_full
    }

    /// Influence of layered acid on a discharge with `current` A.
    fn by_layering(&self, current: f64) -> f64 {
        1.0 + self.layering * (self.spec.capacity / 10.0 / current).sqrt()
    }

    fn layer_acid(&mut self, work: &Work) {
        let spec = &self.spec;
        let discharge = (-work.current).max(0.0) / (spec.capacity / 10.0);
        let more = LAYERING * (1.0 - self.lowest) * (-3.0 * self.layering).exp() * discharge;
        let warmer = work.temperature - CURVE_AT;
        let gassing = if work.cell > STIRS_ABOVE {
            let strength = GAS_BY_VOLTAGE * (work.cell - STIRS_FULLY) + GAS_BY_KELVIN * warmer;
            STIRRING * (100.0 / spec.capacity).sqrt() * strength.exp()
        } else {
            0.0
        };
        let diffusion = 8.0 * DIFFUSION * 3600.0 / (spec.height * spec.height)
            * self.layering
            * ((work.temperature - 20.0) / 10.0).exp2();
        self.layering = (self.layering + (more - gassing - diffusion) * work.hours).max(0.0);
    }

    fn corrode(&mut self, work: &Work) {
        let voltage =
            CORROSION_VOLTAGE - CORROSION_BY_DEPTH * (1.0 - work.charge) + 0.5 * (work.cell - work.rest);
        let speed = corrosion(voltage, work.temperature);
        self.layer = if voltage < SLOWS_BELOW {
            speed * ((self.layer / speed).powf(1.0 / SLOWED) + work.hours).powf(SLOWED)
        } else {
            self.layer + speed * work.hours
        };
    }

    fn note_charge(&mut self, work: &Work) {
        if work.charge >= FULL {
            self.since_full = 0.0;
            self.lowest = 1.0;
            self.bad_charges = 0.0;
        } else {
            self.since_full += work.hours;
            self.lowest = self.lowest.min(work.charge);
        }
        match self.fullest {
            None if work.charge >= CHARGED => self.fullest = Some(work.charge),
            Some(fullest) if work.charge < CHARGED => self.leave(fullest),
            Some(fullest) => {
                if work.charge >= fullest {
                    self.fullest = Some(work.charge);
                    self.drawn = [0.0; 2];
                }
                if work.current < 0.0 {
                    self.drawn[0] -= work.current * work.hours;
                    self.drawn[1] += work.hours;
                }
            }
            None => {}
        }
    }

    /// The battery is no longer charged: that charge was good or bad, and crystals of sulphate begin to form.
    fn leave(&mut self, fullest: f64) {
        self.bad_charges += bad(fullest);
        let [drawn, hours] = std::mem::take(&mut self.drawn);
        if drawn > 0.0 {
            let share = drawn / hours / (self.spec.capacity / 10.0);
            self.current_factor = (1.0 / share).sqrt() * (self.bad_charges / BAD_SCALE).exp();
        }
        self.fullest = None;
    }
}

/// How bad a charge was that ended at this state of charge: 1 at worst, 0 at 90 % and at full.
fn bad(fullest: f64) -> f64 {
    ((BAD_WIDTH - (BAD_CHARGE - fullest).powi(2)) / BAD_WIDTH).max(0.0)
}

/// How fast the layer grows at this corrosion voltage, V, and temperature, °C.
fn corrosion(voltage: f64, temperature: f64) -> f64 {
    let above = LANDER.partition_point(|(volts, _)| *volts < voltage).clamp(1, LANDER.len() - 1);
    let ((x0, y0), (x1, y1)) = (LANDER[above - 1], LANDER[above]);
    let at = voltage.clamp(LANDER[0].0, LANDER[LANDER.len() - 1].0);
    (y0 + (y1 - y0) * (at - x0) / (x1 - x0)) * ((temperature - CURVE_AT) / DOUBLES).exp2()
}

/// Loss of capacity by degradation and corrosion, each in parts of a life.
fn loss(degraded: f64, corroded: f64) -> f64 {
    WORN_OUT * ((STEEPNESS * (degraded - 1.0)).exp() + corroded)
}
