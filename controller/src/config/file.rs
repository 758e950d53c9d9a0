//! The configuration file as it is written: one TOML file for a home, every key known, nothing resolved.
//!
//! What the keys mean together is for `resolve`. Values that can be wrong in a way worth pointing at are
//! [`Spanned`], so that a refusal names the line.

use serde::Deserialize;
use sunkeep_core::settings::Tier;
use sunkeep_models::battery::{Chemistry, ReportedBy};
use toml::Spanned;

use super::uplink::Encoding;
use crate::device_file::Parity;
use crate::gpio::Bias;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) site: SiteTable,
    pub(super) battery: BatteryTable,
    pub(super) panels: Option<PanelsTable>,
    #[serde(default)]
    pub(super) total: TotalTable,
    #[serde(default)]
    pub(super) limits: LimitsTable,
    #[serde(default)]
    pub(super) reserve: ReserveTable,
    #[serde(default)]
    pub(super) care: CareTable,
    #[serde(default)]
    pub(super) pace: PaceTable,
    #[serde(default, rename = "bus")]
    pub(super) buses: Vec<Spanned<BusTable>>,
    #[serde(default, rename = "device")]
    pub(super) devices: Vec<Spanned<DeviceTable>>,
    #[serde(default, rename = "pulse")]
    pub(super) pulses: Vec<Spanned<PulseTable>>,
    pub(super) gpio: Option<GpioTable>,
    pub(super) devices_folder: Option<String>,
    #[serde(default, rename = "load")]
    pub(super) loads: Vec<Spanned<LoadTable>>,
    #[serde(default)]
    pub(super) page: PageTable,
    #[serde(default)]
    pub(super) journal: JournalTable,
    pub(super) uplink: Option<UplinkTable>,
    pub(super) home_assistant: Option<HomeAssistantTable>,
    #[serde(default)]
    pub(super) watchdog: WatchdogTable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteTable {
    pub(super) name: Spanned<String>,
    pub(super) timezone: Spanned<String>,
    pub(super) language: Option<Spanned<String>>,
    pub(super) latitude: Option<Spanned<f64>>,
    pub(super) longitude: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatteryTable {
    pub(super) chemistry: Chemistry,
    pub(super) capacity_ah: Spanned<f64>,
    pub(super) cells: Spanned<u16>,
    pub(super) internal_resistance_ohm: Option<Spanned<f64>>,
    pub(super) efficiency: Option<Spanned<f64>>,
    pub(super) absorption_v: Option<Spanned<f64>>,
    pub(super) tail_current_a: Option<Spanned<f64>>,
    pub(super) worst_discharge_w: Option<Spanned<f64>>,
    pub(super) worst_charge_w: Option<Spanned<f64>>,
    pub(super) voltage: Option<Source>,
    pub(super) current: Option<Source>,
    pub(super) power: Option<Source>,
    pub(super) temperature: Option<Source>,
    pub(super) charge: Option<Source>,
    pub(super) charge_by: Option<ReportedBy>,
    pub(super) charge_uncertainty_percent: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelsTable {
    pub(super) peak_w: Spanned<f64>,
    #[serde(default)]
    pub(super) tilt_deg: Option<Spanned<f64>>,
    pub(super) azimuth_deg: Option<Spanned<f64>>,
    pub(super) power: Option<Source>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TotalTable {
    pub(super) power: Option<Source>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    pub(super) low_v: Option<Spanned<f64>>,
    pub(super) cutoff_v: Option<Spanned<f64>>,
    pub(super) reconnect_v: Option<Spanned<f64>>,
    pub(super) low_percent: Option<Spanned<f64>>,
    pub(super) cutoff_percent: Option<Spanned<f64>>,
    pub(super) reconnect_percent: Option<Spanned<f64>>,
    pub(super) hold_s: Option<Spanned<f64>>,
    pub(super) recovery_hold_s: Option<Spanned<f64>>,
    pub(super) max_temperature_c: Option<Spanned<f64>>,
    pub(super) overload_w: Option<Spanned<f64>>,
    pub(super) overload_wait_s: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the keys of the file name their unit")]
pub(super) struct ReserveTable {
    pub(super) floor_percent: Option<Spanned<f64>>,
    pub(super) important_percent: Option<Spanned<f64>>,
    pub(super) convenience_percent: Option<Spanned<f64>>,
    pub(super) hysteresis_percent: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CareTable {
    pub(super) rising_floor: Option<bool>,
    pub(super) after_days: Option<Spanned<f64>>,
    pub(super) rise_percent_a_day: Option<Spanned<f64>>,
    pub(super) highest_percent: Option<Spanned<f64>>,
    pub(super) highest_important_percent: Option<Spanned<f64>>,
    pub(super) wear_price: Option<Spanned<f64>>,
    pub(super) charge_limits: Option<Spanned<Vec<ChargeLimitTable>>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChargeLimitTable {
    pub(super) from_c: f64,
    pub(super) percent: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaceTable {
    pub(super) cap: Option<Spanned<usize>>,
    pub(super) settle_s: Option<Spanned<f64>>,
    pub(super) stale_after_s: Option<Spanned<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BusTable {
    pub(super) name: String,
    pub(super) kind: BusKind,
    pub(super) port: Option<String>,
    pub(super) baud: Option<Spanned<u32>>,
    pub(super) parity: Option<Parity>,
    pub(super) stop_bits: Option<u8>,
    #[serde(default)]
    pub(super) echo: bool,
    pub(super) address: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum BusKind {
    Rtu,
    Tcp,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceTable {
    pub(super) name: String,
    pub(super) model: Spanned<String>,
    pub(super) bus: Spanned<String>,
    pub(super) unit: Spanned<u8>,
    pub(super) poll_s: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) allow_unverified: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GpioTable {
    pub(super) driver: GpioDriver,
    pub(super) chip: Option<Spanned<String>>,
}

/// Which kernel interface switches GPIO lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GpioDriver {
    /// rppal: Raspberry Pi boards.
    Rppal,
    /// The kernel's character device: every other board.
    Chardev,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PulseTable {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) wh_per_pulse: Spanned<f64>,
    #[serde(default = "yes")]
    pub(super) active_low: bool,
    pub(super) bias: Option<Bias>,
    pub(super) debounce_ms: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadTable {
    pub(super) name: String,
    pub(super) label: Option<String>,
    pub(super) tier: Tier,
    pub(super) nominal_w: Spanned<f64>,
    pub(super) standby_w: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) powers_hub: bool,
    pub(super) min_on_s: Option<Spanned<f64>>,
    pub(super) min_off_s: Option<Spanned<f64>>,
    pub(super) power: Option<Source>,
    pub(super) relay: Option<Spanned<RelayTable>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RelayTable {
    pub(super) device: Option<String>,
    pub(super) coil: Option<u16>,
    pub(super) gpio: Option<u32>,
    #[serde(default)]
    pub(super) active_low: bool,
    pub(super) wiring: ContactWiring,
    pub(super) hub_dead: HubDead,
    #[serde(default)]
    pub(super) hub_stops: HubStops,
}

/// Between which contacts of the relay the load is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactWiring {
    /// Supplied while the coil is energised.
    NormallyOpen,
    /// Supplied while the coil is not energised.
    NormallyClosed,
}

/// What the output does when the hub is dead or starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubDead {
    /// The relay board keeps its last state by itself.
    Keeps,
    /// The coil is released.
    Releases,
}

/// What the hub does with the output when it is stopped in an orderly way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubStops {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// Switches the load on.
    On,
    /// Switches the load off.
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageTable {
    #[serde(default = "default_listen")]
    pub(super) listen: Spanned<String>,
    pub(super) pin: Option<Spanned<String>>,
}

impl Default for PageTable {
    fn default() -> Self {
        Self { listen: default_listen(), pin: None }
    }
}

fn yes() -> bool {
    true
}

fn default_listen() -> Spanned<String> {
    Spanned::new(0..0, "127.0.0.1:8080".into())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JournalTable {
    pub(super) path: Option<String>,
    pub(super) max_mb: Option<Spanned<u64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UplinkTable {
    pub(super) broker: Spanned<String>,
    pub(super) site: Option<Spanned<String>>,
    pub(super) hub: Option<Spanned<String>>,
    pub(super) ca: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) topic: Option<Spanned<String>>,
    pub(super) listens: Option<bool>,
    pub(super) topic_down: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) encoding: Encoding,
    pub(super) template: Option<Spanned<String>>,
    pub(super) telemetry_minutes: Option<Spanned<u16>>,
    pub(super) waits_for_sun_hours: Option<Spanned<u16>>,
    pub(super) monthly_mb: Option<Spanned<u16>>,
    pub(super) keep_alive_s: Option<Spanned<u16>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HomeAssistantTable {
    pub(super) broker: Spanned<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) prefix: Option<Spanned<String>>,
    pub(super) hub: Option<Spanned<String>>,
    pub(super) every_s: Option<Spanned<u16>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchdogTable {
    pub(super) device: Option<String>,
}

/// Where a value comes from.
pub(super) type Source = Spanned<Terms>;

/// `"device/register"`, or a list of such whose values are added; a leading minus subtracts. (The span is
/// around the whole: inside a value of two shapes spans are lost.)
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected \"device/register\", or a list of such")]
pub(super) enum Terms {
    One(String),
    Sum(Vec<String>),
}

impl Terms {
    pub(super) fn list(&self) -> &[String] {
        match self {
            Self::One(term) => std::slice::from_ref(term),
            Self::Sum(terms) => terms,
        }
    }
}
