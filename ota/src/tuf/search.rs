//! The search for a target (5.6.7): pre-order, depth first, bounded, through the top-level targets and the roles
//! they delegate to. Driven like a refresh; nothing it reads becomes trusted state.

use std::collections::BTreeSet;

use crate::limits::Limits;
use crate::reason::{Reason, Refusal};
use crate::time::LowerBound;
use crate::tuf::name::TargetName;
use crate::tuf::refresh::{Answer, Want};
use crate::tuf::targets::{Delegation, Target, Targets};
use crate::tuf::trusted::Trusted;

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    trusted: &'a Trusted,
    limits: Limits,
    time: LowerBound,
    name: TargetName,
    visited: BTreeSet<String>,
    /// Roles to visit, the next one last, each as its delegator knows it.
    ahead: Vec<Delegation>,
    /// Roles that were passed over because they were not given this name.
    passed_over: usize,
    found: Option<Target>,
}

impl<'a> Search<'a> {
    /// Begins with the top-level targets, which must be current.
    pub fn begin(
        trusted: &'a Trusted,
        limits: Limits,
        time: LowerBound,
        name: TargetName,
    ) -> Result<Self, Refusal> {
        let top = trusted.current_targets(time)?;
        let mut search = Self {
            trusted,
            limits,
            time,
            name,
            visited: BTreeSet::from(["targets".to_owned()]),
            ahead: Vec::new(),
            passed_over: 0,
            found: None,
        };
        search.visit(&top.content);
        search.drop_visited();
        Ok(search)
    }

    /// The next role to fetch, or nothing when the search is over. What was fetched for an earlier search may be
    /// answered again: it is verified against the role that delegates here and now.
    pub fn want(&self) -> Option<Want> {
        let role = &self.ahead.last()?.name;
        let file = self.trusted.snapshot.as_ref()?.content.targets.get(role);
        let cap = self.limits.targets_bytes;
        Some(Want {
            role: role.clone(),
            version: file.filter(|_| self.trusted.consistent_snapshot()).map(|file| file.version),
            cap: file.and_then(|file| file.length).map_or(cap, |length| cap.min(length as usize)),
        })
    }

    /// Takes the answer to the last want. "If any metadata requested [...] cannot be downloaded nor validated,
    /// end the search": a refusal is the end, unless the bytes were kept from before and fetched ones may
    /// still be had; for it leaves the search where it was.
    pub fn take(&mut self, answer: Answer<'_>) -> Result<(), Refusal> {
        let Some(delegation) = self.ahead.last().cloned() else {
            return Err(Refusal::new(Reason::OutOfOrder, "search", "nothing was asked for"));
        };
        let Answer::Bytes(bytes) = answer else {
            let subject = format!("targets role {:?}", delegation.name);
            return Err(Refusal::new(Reason::Unavailable, subject, "the repository does not have it"));
        };
        // 5.6.7.1: "a maximum number of roles". Attack: a web of delegations that never ends.
        if self.visited.len() > self.limits.visits {
            let detail = format!("more than {} roles to visit", self.limits.visits);
            return Err(Refusal::new(Reason::DelegationCap, self.subject(), detail));
        }
        let role = self.trusted.delegated(&delegation, bytes, &self.limits, self.time)?;
        self.ahead.pop();
        self.visited.insert(delegation.name);
        self.visit(&role.content);
        self.drop_visited();
        Ok(())
    }

    /// What the search found: call it when nothing is wanted any more.
    pub fn target(self) -> Result<Target, Refusal> {
        let subject = self.subject();
        match self.found {
            Some(target) => Ok(target),
            None if self.want().is_some() => {
                Err(Refusal::new(Reason::OutOfOrder, subject, "the search is not over"))
            }
            // Attack: a role names targets that it was not given.
            None if self.passed_over > 0 => Err(Refusal::new(
                Reason::NotDelegated,
                subject,
                format!("no role that was given this name has it; {} were not given it", self.passed_over),
            )),
            None => Err(Refusal::new(Reason::NoSuchTarget, subject, "no role has it")),
        }
    }

    fn subject(&self) -> String {
        format!("target {:?}", self.name.as_str())
    }

    fn visit(&mut self, role: &Targets) {
        if let Some(target) = role.targets.get(self.name.as_str()) {
            self.found = Some(target.clone());
            self.ahead.clear();
            return;
        }
        let mut next = Vec::new();
        for delegation in &role.delegations {
            if !delegation.covers(self.name.as_str()) {
                self.passed_over += 1;
                continue;
            }
            next.push(delegation.clone());
            // 5.6.7.2.1: nothing after a terminating delegation, here or further up.
            if delegation.terminating {
                self.ahead.clear();
                break;
            }
        }
        self.ahead.extend(next.into_iter().rev());
    }

    /// 5.6.7.1: "If this role has been visited before, then skip this role". Attack: a cycle.
    fn drop_visited(&mut self) {
        while self.ahead.last().is_some_and(|next| self.visited.contains(&next.name)) {
            self.ahead.pop();
        }
    }
}
