//! A home in this process: a plant, its buses, and the handles by which a test or a command holds them.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::device::{Model, Outputs};
use crate::plant::{Plant, Readings, Summary};
use crate::wire::fault::{Fault, Traffic};
use crate::wire::pty::Pty;
use crate::wire::{serial, tcp};
use crate::world::{Shared, World, lock};

/// How a bus is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Modbus TCP on a free port of the loopback interface.
    Tcp,
    /// Modbus RTU on a pseudo-terminal.
    Rtu,
}

/// A bus and its devices, before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct BusSpec {
    /// Name, unique in the home; a serial bus gets a link of this name in the home's folder.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Number and type of each unit.
    pub units: Vec<(u8, Model)>,
}

impl BusSpec {
    /// A bus of this name with these units.
    pub fn new(name: &str, transport: Transport, units: &[(u8, Model)]) -> Self {
        Self { name: name.into(), transport, units: units.to_vec() }
    }
}

/// How a home is put onto the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeOptions {
    /// Its buses.
    pub buses: Vec<BusSpec>,
    /// Where links to serial lines are made, if anywhere. The folder must exist.
    pub dir: Option<PathBuf>,
    /// How long a device pauses in the middle of an answer that comes in two bursts.
    pub burst_pause: Duration,
}

impl HomeOptions {
    /// Nine devices on four buses, as a home might have them: two serial lines, a gateway, a GX device
    /// with three services.
    pub fn usual(dir: Option<PathBuf>) -> Self {
        use Model::{
            AlgodueUem, EastronSdm120, EastronSdm630, EpeverTracer3210a, RelayBoard8, VictronBattery,
            VictronSolarCharger, VictronSystem, XyMd02,
        };
        let buses = vec![
            BusSpec::new("rs485-0", Transport::Rtu, &[(1, EpeverTracer3210a)]),
            BusSpec::new("rs485-1", Transport::Rtu, &[(1, RelayBoard8), (2, XyMd02), (3, EastronSdm120)]),
            BusSpec::new("gateway", Transport::Tcp, &[(4, EastronSdm630), (5, AlgodueUem)]),
            BusSpec::new(
                "gx",
                Transport::Tcp,
                &[(100, VictronSystem), (225, VictronBattery), (226, VictronSolarCharger)],
            ),
        ];
        Self { buses, dir, burst_pause: Duration::from_millis(20) }
    }

    /// The same buses, all reached over TCP: without the silences of a serial line, a run is faster.
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        for bus in &mut self.buses {
            bus.transport = Transport::Tcp;
        }
        self
    }
}

/// Where a running bus is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BusAddress {
    /// Name of the bus.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// `127.0.0.1:PORT`, or the path of the serial line.
    pub address: String,
    /// Number and type of each unit.
    pub units: Vec<UnitAddress>,
}

/// A device on a running bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitAddress {
    /// Its number.
    pub unit: u8,
    /// Its type.
    pub model: Model,
}

/// Why a home did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A bus could not be opened.
    #[error("bus {bus}: {what}: {source}")]
    Bus {
        /// Which bus.
        bus: String,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A home that runs; it stops, and its links vanish, when this is dropped.
pub struct RunningHome {
    world: Shared,
    buses: Vec<BusAddress>,
    burst_pause: Duration,
    /// The task of each bus; nothing while it is unplugged.
    tasks: Mutex<Vec<Option<AbortHandle>>>,
    links: Vec<PathBuf>,
}

impl RunningHome {
    /// Puts a plant onto the wire. Must be called within a tokio runtime.
    pub async fn start(plant: Plant, options: &HomeOptions) -> Result<Self, StartError> {
        let units: Vec<_> = options.buses.iter().map(|bus| bus.units.clone()).collect();
        let world = Arc::new(Mutex::new(World::new(plant, &units)));
        let mut home = Self {
            world,
            buses: Vec::new(),
            burst_pause: options.burst_pause,
            tasks: Mutex::new(Vec::new()),
            links: Vec::new(),
        };
        for (place, bus) in options.buses.iter().enumerate() {
            let link = (options.dir.as_ref().filter(|_| bus.transport == Transport::Rtu))
                .map(|dir| dir.join(&bus.name));
            let wanted = match bus.transport {
                Transport::Tcp => "127.0.0.1:0".into(),
                Transport::Rtu => link.as_ref().map(|link| link.display().to_string()).unwrap_or_default(),
            };
            let (address, task) = home.plug(place, &bus.name, bus.transport, &wanted).await?;
            home.with_tasks(|tasks| tasks.push(Some(task)));
            home.links.extend(link);
            let units = bus.units.iter().map(|(unit, model)| UnitAddress { unit: *unit, model: *model });
            let (name, transport) = (bus.name.clone(), bus.transport);
            home.buses.push(BusAddress { name, transport, address, units: units.collect() });
        }
        Ok(home)
    }

    fn with_tasks<T>(&self, change: impl FnOnce(&mut Vec<Option<AbortHandle>>) -> T) -> T {
        change(&mut self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens bus number `place` at the wanted address and serves it. A serial line without a wanted address
    /// is found under the system's own name.
    async fn plug(
        &self,
        place: usize,
        name: &str,
        transport: Transport,
        wanted: &str,
    ) -> Result<(String, AbortHandle), StartError> {
        let failed = |what: &'static str| {
            let bus = name.to_owned();
            move |source| StartError::Bus { bus, what, source }
        };
        let (world, pause) = (Arc::clone(&self.world), self.burst_pause);
        if transport == Transport::Tcp {
            let listener = TcpListener::bind(wanted).await.map_err(failed("listening on 127.0.0.1"))?;
            let address = listener.local_addr().map_err(failed("asking for the port"))?;
            let task = tokio::spawn(tcp::serve(listener, world, place, pause));
            return Ok((address.to_string(), task.abort_handle()));
        }
        let pty = Arc::new(Pty::open().map_err(failed("opening a pseudo-terminal"))?);
        let mut address = pty.path().display().to_string();
        if !wanted.is_empty() {
            remove_link(Path::new(wanted)).map_err(failed("removing an old link"))?;
            std::os::unix::fs::symlink(pty.path(), wanted).map_err(failed("linking the pseudo-terminal"))?;
            wanted.clone_into(&mut address);
        }
        let task = tokio::spawn(serial::serve(pty, world, place, pause));
        Ok((address, task.abort_handle()))
    }

    /// Pulls a bus out: a TCP bus refuses connections, a serial line hangs up. Whether there is such a bus.
    pub fn unplug(&self, bus: &str) -> bool {
        let Some(place) = self.buses.iter().position(|it| it.name == bus) else { return false };
        if let Some(task) = self.with_tasks(|tasks| tasks[place].take()) {
            task.abort();
        }
        let address = Path::new(&self.buses[place].address);
        if self.links.iter().any(|link| link == address) {
            // A link that somebody removed already is gone all the same.
            let _ = std::fs::remove_file(address);
        }
        true
    }

    /// Plugs a bus in again, at the same address; a serial line only where it has a link in the home's
    /// folder. Whether there is such a bus.
    pub async fn replug(&self, bus: &str) -> Result<bool, StartError> {
        let Some(place) = self.buses.iter().position(|it| it.name == bus) else { return Ok(false) };
        self.unplug(bus);
        let found = &self.buses[place];
        let (_, task) = self.plug(place, bus, found.transport, &found.address).await?;
        self.with_tasks(|tasks| tasks[place] = Some(task));
        Ok(true)
    }

    /// Where the buses are found.
    pub fn buses(&self) -> &[BusAddress] {
        &self.buses
    }

    /// Address of the bus of this name.
    pub fn address(&self, bus: &str) -> Option<&str> {
        self.buses.iter().find(|it| it.name == bus).map(|it| it.address.as_str())
    }

    /// Gives a unit a fault, or takes it away. Whether there is such a unit.
    pub fn set_fault(&self, bus: &str, unit: u8, fault: Fault) -> bool {
        self.unit(bus, unit, |it| it.fault = fault).is_some()
    }

    /// Gives every unit of a bus a fault, or takes it away. Whether there is such a bus.
    pub fn set_bus_fault(&self, bus: &str, fault: Fault) -> bool {
        let place = self.buses.iter().position(|it| it.name == bus);
        if let Some(place) = place {
            lock(&self.world).buses[place].iter_mut().for_each(|unit| unit.fault = fault);
        }
        place.is_some()
    }

    /// What passed between a bus and one of its units so far.
    pub fn traffic(&self, bus: &str, unit: u8) -> Option<Traffic> {
        self.unit(bus, unit, |it| it.traffic.clone())
    }

    fn unit<T>(&self, bus: &str, unit: u8, read: impl FnOnce(&mut crate::world::Unit) -> T) -> Option<T> {
        let place = self.buses.iter().position(|it| it.name == bus)?;
        lock(&self.world).buses[place].iter_mut().find(|it| it.number == unit).map(read)
    }

    /// Moves the plant on, with the relays as they stand now.
    pub fn advance(&self, span: Duration) {
        lock(&self.world).advance(span);
    }

    /// What instruments see.
    pub fn readings(&self) -> Readings {
        lock(&self.world).plant.readings().clone()
    }

    /// What devices switch.
    pub fn outputs(&self) -> Outputs {
        lock(&self.world).outputs
    }

    /// Takes the power from the relay board for a moment: all its coils are released, as after any power-up.
    pub fn power_cycle_relays(&self) {
        lock(&self.world).outputs.coils = [false; 8];
    }

    /// Looks at the plant, or changes it behind the devices' back.
    pub fn with_plant<T>(&self, look: impl FnOnce(&mut Plant) -> T) -> T {
        look(&mut lock(&self.world).plant)
    }

    /// How the run went so far.
    pub fn summary(&self, step: Duration) -> Summary {
        lock(&self.world).plant.summary(step)
    }

    /// Wall time of the home, seconds since 1970.
    pub fn unix(&self) -> i64 {
        lock(&self.world).plant.unix()
    }
}

fn remove_link(link: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(link) {
        Ok(found) if found.is_symlink() => std::fs::remove_file(link),
        Ok(_) => Err(std::io::Error::new(
            std::io::ErrorKind::AlreadyExists,
            format!("{} exists and is no link", link.display()),
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl Drop for RunningHome {
    fn drop(&mut self) {
        self.with_tasks(|tasks| tasks.iter().flatten().for_each(AbortHandle::abort));
        for link in &self.links {
            // A link that somebody removed already is gone all the same.
            let _ = std::fs::remove_file(link);
        }
    }
}
