//! Victron GX (Venus OS) on Modbus TCP: the system service at unit 100, and a battery monitor and a solar
//! charger at units of their own.
//!
//! Functions 3 and 4 read the same map. A gap in a block fails the whole read with exception 2; a count
//! beyond 125 with 3; a unit without a service with 10 (the bus answers that). A value that is not
//! available reads 0. High word first.

use super::registers::Registers;
use super::{Device, Outputs};
use crate::plant::{Readings, Stage};
use crate::wire::pdu::{Exception, Request, Response};

const MOST_REGISTERS: u16 = 125;

/// The system service, with two relays of the GX itself.
#[derive(Default)]
pub(super) struct System {
    relays: [bool; 2],
}

/// A battery monitor.
pub(super) struct Battery;

/// A solar charger.
pub(super) struct SolarCharger;

fn read(request: &Request, fill: impl FnOnce(&mut Registers)) -> Result<Response, Exception> {
    match request {
        Request::ReadRegisters { start, count, .. } => {
            if !(1..=MOST_REGISTERS).contains(count) {
                return Err(Exception::IllegalValue);
            }
            let mut all = Registers::default();
            fill(&mut all);
            all.read(*start, *count).map(Response::Registers)
        }
        // A write to what can only be read.
        Request::WriteRegister { .. } | Request::WriteRegisters { .. } => Err(Exception::IllegalAddress),
        _ => Err(Exception::IllegalFunction),
    }
}

impl System {
    fn fill(&self, all: &mut Registers, home: &Readings) {
        all.text(800, "SUNKEEPSIM01", 6);
        all.raw(806, u16::from(self.relays[0]));
        all.raw(807, u16::from(self.relays[1]));
        all.zeros(808..=825);
        for (at, watts) in (817..).zip(home.phases) {
            all.unsigned(at, watts, 1.0);
        }
        all.raw(826, 240);
        let unix = home.unix.cast_unsigned();
        for (at, shift) in (830..).zip([48, 32, 16, 0]) {
            all.raw(at, (unix >> shift) as u16);
        }
        all.long_high_first(834, 3_290_000.0, 1.0);
        all.unsigned(840, home.battery_voltage, 0.1);
        all.signed(841, home.battery_current, 0.1);
        all.signed(842, home.battery_voltage * home.battery_current, 1.0);
        all.unsigned(843, home.charge * 100.0, 1.0);
        all.raw(844, if home.battery_current > 0.5 { 1 } else { u16::from(home.battery_current < -0.5) * 2 });
        all.unsigned(845, consumed(home), 0.1);
        all.unsigned(846, seconds_to_go(home), 100.0);
        all.unsigned(850, home.charge_power, 1.0);
        all.signed(851, home.charge_power / home.battery_voltage.max(1.0), 0.1);
        all.raw(855, 0);
        all.signed(860, home.load_power, 1.0);
        all.zeros(865..=866);
        all.zeros(868..=919);
        for (offset, watts) in (0..).step_by(2).zip(home.phases) {
            all.long_high_first(878 + offset, watts, 1.0);
            all.long_high_first(902 + offset, watts, 1.0);
        }
    }
}

/// Charge taken out since full, Ah.
fn consumed(home: &Readings) -> f64 {
    (1.0 - home.charge) * home.battery_capacity
}

/// Time until empty at this current, s; 0 while it is charged.
fn seconds_to_go(home: &Readings) -> f64 {
    if home.battery_current < -0.05 {
        (home.charge * home.battery_capacity / -home.battery_current * 3600.0).min(864_000.0)
    } else {
        0.0
    }
}

impl Device for System {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        let relay = |at: u16| usize::from(at).checked_sub(806).filter(|place| *place < 2);
        let mut set = |at: u16, value: u16| {
            let place = relay(at).ok_or(Exception::IllegalAddress)?;
            self.relays[place] = match value {
                0 => false,
                1 => true,
                _ => return Err(Exception::IllegalValue),
            };
            Ok(Response::Written)
        };
        match request {
            Request::WriteRegister { at, value } => set(*at, *value),
            Request::WriteRegisters { start, values } if values.len() == 1 => set(*start, values[0]),
            _ => read(request, |all| self.fill(all, home)),
        }
    }
}

impl Device for Battery {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        read(request, |all| {
            let power = home.battery_voltage * home.battery_current;
            all.long_high_first(256, power, 1.0);
            all.signed(258, power, 1.0);
            all.unsigned(259, home.battery_voltage, 0.01);
            all.raw(260, 0);
            all.signed(261, home.battery_current, 0.1);
            all.signed(262, home.battery_temperature, 0.1);
            all.zeros(263..=264);
            all.unsigned(265, consumed(home), 0.1);
            all.unsigned(266, home.charge * 100.0, 0.1);
            all.zeros(267..=302);
            all.unsigned(303, seconds_to_go(home), 100.0);
            all.unsigned(304, 100.0, 0.1);
            all.zeros(305..=308);
            all.unsigned(309, home.battery_capacity, 0.1);
        })
    }
}

impl Device for SolarCharger {
    fn answer(&mut self, request: &Request, home: &Readings, _: &mut Outputs) -> Result<Response, Exception> {
        read(request, |all| {
            all.unsigned(771, home.battery_voltage, 0.01);
            all.signed(772, home.charge_power / home.battery_voltage.max(1.0), 0.1);
            all.raw(773, 0);
            all.raw(774, 1);
            let state = match home.stage {
                Stage::Off => 0,
                Stage::Bulk => 3,
                Stage::Absorption => 4,
                Stage::Float => 5,
            };
            all.raw(775, state);
            all.unsigned(776, home.pv_voltage, 0.01);
            all.signed(777, home.pv_power / home.pv_voltage.max(1.0), 0.1);
            all.zeros(778..=781);
            all.unsigned(784, home.pv_energy[1] / 1000.0, 0.1);
            all.zeros(785..=788);
            all.unsigned(789, home.pv_power, 0.1);
            all.unsigned(790, home.pv_energy[0] / 1000.0, 0.1);
            all.raw(791, if home.stage == Stage::Bulk { 2 } else { u16::from(home.stage != Stage::Off) });
            all.long_high_first(792, home.pv_power, 1.0);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noon;
    use super::*;

    fn ask(device: &mut dyn Device, start: u16, count: u16) -> Result<Vec<u16>, Exception> {
        let request = Request::ReadRegisters { function: 3, start, count };
        match device.answer(&request, &noon(), &mut Outputs::default())? {
            Response::Registers(values) => Ok(values),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_battery_as_the_system_sees_it() {
        let values = ask(&mut System::default(), 840, 7).unwrap();
        assert_eq!(values[0], 276);
        assert_eq!(values[1].cast_signed(), -33, "-3.25 A in tenths, away from zero");
        assert_eq!(values[2].cast_signed(), -90);
        assert_eq!(values[3], 63);
        assert_eq!(values[4], 2, "discharging");
    }

    #[test]
    fn a_gap_fails_the_whole_read() {
        let mut system = System::default();
        assert_eq!(ask(&mut system, 840, 8), Err(Exception::IllegalAddress));
        assert_eq!(ask(&mut system, 847, 1), Err(Exception::IllegalAddress));
        assert_eq!(ask(&mut system, 808, 126), Err(Exception::IllegalValue));
        assert_eq!(ask(&mut system, 808, 0), Err(Exception::IllegalValue));
        assert_eq!(ask(&mut system, 820, 1), Ok(vec![0]), "no grid reads 0");
    }

    #[test]
    fn relays_of_the_gx_are_written_and_the_rest_is_not() {
        let mut system = System::default();
        let home = noon();
        let mut write =
            |at, value| system.answer(&Request::WriteRegister { at, value }, &home, &mut Outputs::default());
        assert_eq!(write(806, 1), Ok(Response::Written));
        assert_eq!(write(840, 1), Err(Exception::IllegalAddress));
        assert_eq!(ask(&mut system, 806, 2), Ok(vec![1, 0]));
    }

    #[test]
    fn battery_and_charger_have_units_of_their_own() {
        assert_eq!(ask(&mut Battery, 259, 1), Ok(vec![2761]));
        assert_eq!(ask(&mut Battery, 266, 1), Ok(vec![634]));
        assert_eq!(ask(&mut SolarCharger, 775, 1), Ok(vec![4]));
        assert_eq!(ask(&mut SolarCharger, 789, 1), Ok(vec![5123]));
        assert_eq!(ask(&mut SolarCharger, 782, 1), Err(Exception::IllegalAddress));
    }
}
