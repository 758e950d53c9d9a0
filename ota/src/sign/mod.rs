//! The operator's side: secret keys and signed documents. Where keys are kept, and who may use them, belongs to
//! the caller; a hub is built without this.

pub mod documents;
pub mod key;
pub mod ledger;
