//! The plant and the devices that look at it, behind one lock: what a request meets.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::device::{self, Device, Model, Outputs, Pause};
use crate::plant::{Load, Plant};
use crate::wire::fault::{Fault, Traffic};
use crate::wire::pdu::{Exception, Request, Response};

/// A device on a bus.
pub(crate) struct Unit {
    pub(crate) number: u8,
    pub(crate) model: Model,
    device: Box<dyn Device>,
    pub(crate) fault: Fault,
    pub(crate) traffic: Traffic,
}

/// Plant, devices and what they switch.
pub(crate) struct World {
    pub(crate) plant: Plant,
    pub(crate) outputs: Outputs,
    pub(crate) buses: Vec<Vec<Unit>>,
    loads: Vec<Load>,
}

/// The world as the tasks of the buses share it.
pub(crate) type Shared = Arc<Mutex<World>>;

/// Takes the lock; a task that died while it held it leaves nothing half done that matters.
pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a bus does with a request.
pub(crate) enum Verdict {
    /// Nothing is sent.
    Silence,
    /// There is no such unit on this bus; `gx` on a bus of Victron services.
    NoSuchUnit { gx: bool },
    /// This is sent, in the manner of the fault.
    Answer { pdu: Vec<u8>, pause: Option<Pause>, fault: Fault },
}

/// Unit 0 of a GX device is its system service.
const GX_SYSTEM: u8 = 100;

impl World {
    /// A plant with devices, all relays released.
    pub(crate) fn new(mut plant: Plant, buses: &[Vec<(u8, Model)>]) -> Self {
        let loads = plant.loads();
        for (place, load) in loads.iter().enumerate() {
            plant.permit_first(place, load.wiring.conducts(false));
        }
        let unit = |(number, model): &(u8, Model)| Unit {
            number: *number,
            model: *model,
            device: device::build(*model),
            fault: Fault::None,
            traffic: Traffic::default(),
        };
        let buses = buses.iter().map(|units| units.iter().map(unit).collect()).collect();
        Self { plant, outputs: Outputs::default(), buses, loads }
    }

    /// Moves the plant on, with the relays as they stand.
    pub(crate) fn advance(&mut self, span: Duration) {
        for (place, load) in self.loads.iter().enumerate() {
            let energised = self.outputs.coils.get(usize::from(load.coil)).copied().unwrap_or(false);
            self.plant.permit(place, load.wiring.conducts(energised));
        }
        self.plant.switch_load_output(self.outputs.load_output);
        self.plant.advance(span);
    }

    /// How often a unit of this bus babbles, if one does.
    pub(crate) fn babble(&self, bus: usize) -> Option<Duration> {
        self.buses[bus].iter().find_map(|unit| match unit.fault {
            Fault::Babbling(period) => Some(period.max(Duration::from_millis(5))),
            _ => None,
        })
    }

    /// Puts a request to a unit of a bus; `pause` is how long pauses within answers last.
    pub(crate) fn ask(&mut self, bus: usize, number: u8, request: &Request, pause: Duration) -> Verdict {
        let home = self.plant.readings();
        let units = &mut self.buses[bus];
        let gx = units.iter().any(|unit| unit.model == Model::VictronSystem);
        if number == 0 && !gx {
            // A broadcast: everybody acts and nobody answers.
            for unit in units.iter_mut().filter(|unit| unit.fault != Fault::Dead) {
                let _ = unit.device.answer(request, home, &mut self.outputs);
            }
            return Verdict::Silence;
        }
        let number = if gx && number == 0 { GX_SYSTEM } else { number };
        let Some(unit) = units.iter_mut().find(|unit| unit.number == number) else {
            return Verdict::NoSuchUnit { gx };
        };
        unit.traffic.note(request);
        let mut reply = match unit.fault {
            Fault::Dead => {
                unit.traffic.unanswered += 1;
                return Verdict::Silence;
            }
            Fault::Busy => Err(Exception::Busy),
            _ => unit.device.answer(request, home, &mut self.outputs),
        };
        if let (Fault::Lying(pattern), Ok(Response::Registers(values))) = (unit.fault, &mut reply) {
            for (value, lie) in values.iter_mut().zip(pattern.into_iter().cycle()) {
                *value = lie;
            }
        }
        match &reply {
            Ok(_) => unit.traffic.answers += 1,
            Err(_) => unit.traffic.exceptions += 1,
        }
        let pause = if reply.is_ok() { unit.device.pause(request, pause) } else { None };
        Verdict::Answer { pdu: request.encode_reply(&reply), pause, fault: unit.fault }
    }
}
