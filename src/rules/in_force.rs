//! The rules in force: read by every login, changed by a reload and by the admin port.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::{Rules, RulesError, Settings};

/// The rules in force. A reader has them as they were when it asked; who changes a part leaves the rest as it is.
#[derive(Debug)]
pub struct InForce {
    rules: ArcSwap<Rules>,
    /// So that of two changes at once none is lost.
    changing: Mutex<()>,
}

impl InForce {
    /// Those of the start.
    pub fn new(settings: Settings) -> Result<Self, RulesError> {
        Ok(Self {
            rules: ArcSwap::from_pointee(Rules::new(settings)?),
            changing: Mutex::default(),
        })
    }

    /// As they are now.
    pub fn load(&self) -> Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Changes what they are made of. If that makes no rules, nothing is changed.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), RulesError> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut settings = self.load().settings().clone();
        change(&mut settings);
        self.rules.store(Arc::new(Rules::new(settings)?));
        Ok(())
    }
}
