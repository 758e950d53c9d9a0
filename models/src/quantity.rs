//! Physical quantities as types, in SI units or the field's own (watt-hour, ampere-hour).
//!
//! Signs: battery power and current are positive **into** the battery (charging).
//! Arithmetic that makes physical sense is here and nothing else is: volts times amps are watts,
//! and volts plus amps do not compile.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal, $digits:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0.0);
            /// The larger of two.
            #[must_use]
            pub fn max(self, other: Self) -> Self { Self(self.0.max(other.0)) }
            /// The smaller of two.
            #[must_use]
            pub fn min(self, other: Self) -> Self { Self(self.0.min(other.0)) }
            /// The value without its sign.
            #[must_use]
            pub fn abs(self) -> Self { Self(self.0.abs()) }
            /// Whether this is a number at all: neither NaN nor infinite.
            pub fn is_finite(self) -> bool { self.0.is_finite() }
        }
        impl Add for $name { type Output = Self; fn add(self, o: Self) -> Self { Self(self.0 + o.0) } }
        impl Sub for $name { type Output = Self; fn sub(self, o: Self) -> Self { Self(self.0 - o.0) } }
        impl AddAssign for $name { fn add_assign(&mut self, o: Self) { self.0 += o.0; } }
        impl SubAssign for $name { fn sub_assign(&mut self, o: Self) { self.0 -= o.0; } }
        impl Neg for $name { type Output = Self; fn neg(self) -> Self { Self(-self.0) } }
        impl Mul<f64> for $name { type Output = Self; fn mul(self, k: f64) -> Self { Self(self.0 * k) } }
        impl Div<f64> for $name { type Output = Self; fn div(self, k: f64) -> Self { Self(self.0 / k) } }
        impl Div for $name { type Output = f64; fn div(self, o: Self) -> f64 { self.0 / o.0 } }
        impl Sum for $name { fn sum<I: Iterator<Item = Self>>(i: I) -> Self { Self(i.map(|q| q.0).sum()) } }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:.", $digits, "} ", $unit), self.0)
            }
        }
    };
}

quantity!(/// Power, W.
    Watts, "W", 0);
quantity!(/// Electric potential, V.
    Volts, "V", 2);
quantity!(/// Electric current, A.
    Amps, "A", 1);
quantity!(/// Energy, Wh.
    WattHours, "Wh", 0);
quantity!(/// Electric charge, Ah.
    AmpHours, "Ah", 1);
quantity!(/// Temperature, degrees Celsius.
    Celsius, "°C", 1);
quantity!(/// Electric resistance, ohm.
    Ohms, "Ω", 4);
quantity!(/// A span of time, s.
    Seconds, "s", 0);

impl Seconds {
    /// The span in hours.
    pub fn hours(self) -> f64 {
        self.0 / 3600.0
    }
}

impl Mul<Amps> for Volts {
    type Output = Watts;
    fn mul(self, current: Amps) -> Watts {
        Watts(self.0 * current.0)
    }
}

impl Div<Volts> for Watts {
    type Output = Amps;
    fn div(self, voltage: Volts) -> Amps {
        Amps(self.0 / voltage.0)
    }
}

impl Mul<Ohms> for Amps {
    type Output = Volts;
    fn mul(self, resistance: Ohms) -> Volts {
        Volts(self.0 * resistance.0)
    }
}

impl Mul<Volts> for AmpHours {
    type Output = WattHours;
    fn mul(self, voltage: Volts) -> WattHours {
        WattHours(self.0 * voltage.0)
    }
}

impl Mul<Seconds> for Watts {
    type Output = WattHours;
    fn mul(self, span: Seconds) -> WattHours {
        WattHours(self.0 * span.hours())
    }
}

impl Mul<Seconds> for Amps {
    type Output = AmpHours;
    fn mul(self, span: Seconds) -> AmpHours {
        AmpHours(self.0 * span.hours())
    }
}

/// How full a battery is: 0 is empty, 1 is full. Always inside that range.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateOfCharge(f64);

impl StateOfCharge {
    /// An empty battery.
    pub const EMPTY: Self = Self(0.0);
    /// A full battery.
    pub const FULL: Self = Self(1.0);

    /// The nearest possible state of charge. NaN is read as empty, the cautious end.
    pub fn clamped(ratio: f64) -> Self {
        Self(if ratio.is_nan() { 0.0 } else { ratio.clamp(0.0, 1.0) })
    }

    /// The ratio, 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0
    }

    /// The ratio in percent, 0 to 100.
    pub fn percent(self) -> f64 {
        self.0 * 100.0
    }
}

impl fmt::Display for StateOfCharge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", self.percent())
    }
}
