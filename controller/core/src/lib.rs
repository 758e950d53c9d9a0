//! The decision core of the hub: which loads are on, and why.
//!
//! The whole policy is one function, [`step`]: settings, state and the frozen inputs of a cycle go in, the
//! next state and a decision come out. It reads no clock, file or socket, uses arithmetic, square roots and
//! tables only, and gives the same answer to the same bits on every processor, so that a journal replays.
//!
//! A cycle runs through these rooms, in this order:
//!
//! 1. [`estimate`]: how full the battery is, with bounds.
//! 2. [`propose`]: what the plan, or the reserve rule where no plan holds, would switch.
//! 3. [`guards`]: strike what must not be switched now. A guard never adds a proposal.
//! 4. [`protection`]: switch off what the battery cannot bear. Protection never switches anything on.
//!
//! [`care`] says what the battery needs before anything is proposed. Beside the cycle, [`planner`] turns forecasts
//! into a plan, and [`wish`] says what it costs to keep a load on that a person asked for.

pub mod care;
pub mod decision;
pub mod disaggregate;
pub mod estimate;
pub mod evidence;
pub mod guards;
pub mod image;
pub mod planner;
pub mod propose;
pub mod protection;
pub mod settings;
pub mod state;
mod step;
pub mod steps;
pub mod wish;

pub use decision::Decision;
pub use image::ProcessImage;
pub use planner::Plan;
pub use settings::Settings;
pub use state::State;
pub use step::step;
