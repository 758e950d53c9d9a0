//! Wrong PINs and the growing wait after them, per address and for all addresses together. Memory is
//! bounded: at most [`MOST_ADDRESSES`] are remembered.

use std::net::IpAddr;

use sunkeep_models::quantity::Seconds;
use sunkeep_models::time::Uptime;

/// Addresses remembered; the one whose last failure is oldest is forgotten first. An attacker with more
/// addresses than this still meets the wait for all.
const MOST_ADDRESSES: usize = 256;

/// A wait that doubles with every failure.
#[derive(Debug, Clone, Copy)]
struct Growth {
    /// Failures that cost nothing: fingers slip.
    free: u32,
    /// The first wait.
    first: Seconds,
    /// The longest wait.
    most: Seconds,
    /// After so long without a failure all is forgotten.
    forget: Seconds,
}

const ADDRESS: Growth =
    Growth { free: 3, first: Seconds(5.0), most: Seconds(3600.0), forget: Seconds(86_400.0) };
const ALL: Growth = Growth { free: 10, first: Seconds(5.0), most: Seconds(300.0), forget: Seconds(3600.0) };

#[derive(Debug, Clone, Copy, Default)]
struct Failures {
    count: u32,
    last: Uptime,
}

impl Failures {
    fn wait(&self, now: Uptime, growth: Growth) -> Seconds {
        let Some(beyond) = self.count.checked_sub(growth.free) else { return Seconds::ZERO };
        let whole = growth.first * f64::from(1_u32 << beyond.min(20));
        whole.min(growth.most) - now.since(self.last)
    }

    fn note(&mut self, now: Uptime, growth: Growth) {
        if now.since(self.last) > growth.forget {
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
    }
}

/// All failures that are remembered.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    all: Failures,
    addresses: Vec<(IpAddr, Failures)>,
}

impl Attempts {
    /// How long this address must wait before its next attempt; nothing if it may try now.
    pub(super) fn wait(&self, address: IpAddr, now: Uptime) -> Option<Seconds> {
        let address = network(address);
        let own = self.addresses.iter().find(|(known, _)| *known == address);
        let own = own.map_or(Seconds::ZERO, |(_, failures)| failures.wait(now, ADDRESS));
        let wait = own.max(self.all.wait(now, ALL));
        (wait > Seconds::ZERO).then_some(wait)
    }

    /// Notes a wrong PIN.
    pub(super) fn failed(&mut self, address: IpAddr, now: Uptime) {
        let address = network(address);
        self.all.note(now, ALL);
        if let Some((_, failures)) = self.addresses.iter_mut().find(|(known, _)| *known == address) {
            failures.note(now, ADDRESS);
            return;
        }
        if self.addresses.len() >= MOST_ADDRESSES {
            let oldest = (0..self.addresses.len()).min_by_key(|&place| self.addresses[place].1.last);
            if let Some(oldest) = oldest {
                self.addresses.swap_remove(oldest);
            }
        }
        self.addresses.push((address, Failures { count: 1, last: now }));
    }

    /// Notes the right PIN: this address has shown that it knows it.
    pub(super) fn succeeded(&mut self, address: IpAddr) {
        let address = network(address);
        self.addresses.retain(|(known, _)| *known != address);
    }
}

/// What counts as one address: of IPv6 the /64, for whoever has one of those has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(bits.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Uptime {
        Uptime::from_seconds(100_000 + seconds)
    }

    fn address(last: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + last).into())
    }

    #[test]
    fn the_wait_of_an_address_doubles_and_ends() {
        let mut attempts = Attempts::default();
        attempts.failed(address(1), at(0));
        attempts.failed(address(1), at(0));
        assert_eq!(attempts.wait(address(1), at(0)), None);
        attempts.failed(address(1), at(0));
        assert_eq!(attempts.wait(address(1), at(0)), Some(Seconds(5.0)));
        assert_eq!(attempts.wait(address(2), at(0)), None, "others may try");
        assert_eq!(attempts.wait(address(1), at(5)), None);
        attempts.failed(address(1), at(5));
        assert_eq!(attempts.wait(address(1), at(5)), Some(Seconds(10.0)));
        for _ in 0..40 {
            attempts.failed(address(1), at(5));
        }
        assert_eq!(attempts.wait(address(1), at(5)), Some(Seconds(3600.0)));
    }

    #[test]
    fn the_right_pin_clears_its_own_address_only() {
        let mut attempts = Attempts::default();
        for _ in 0..4 {
            attempts.failed(address(1), at(0));
            attempts.failed(address(2), at(0));
        }
        attempts.succeeded(address(1));
        assert_eq!(attempts.wait(address(1), at(0)), None);
        assert!(attempts.wait(address(2), at(0)).is_some());
    }

    #[test]
    fn many_addresses_together_meet_a_wait_and_are_remembered_in_bounded_memory() {
        let mut attempts = Attempts::default();
        for number in 0..10_000 {
            attempts.failed(address(number), at(0));
        }
        assert_eq!(attempts.addresses.len(), MOST_ADDRESSES);
        assert_eq!(attempts.wait(address(77_777), at(0)), Some(Seconds(300.0)));
        assert_eq!(attempts.wait(address(77_777), at(300)), None);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let mut attempts = Attempts::default();
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff"] {
            attempts.failed(host.parse().unwrap(), at(0));
        }
        assert!(attempts.wait("2001:db8::3".parse().unwrap(), at(0)).is_some());
        assert!(attempts.wait("2001:db8:0:1::3".parse().unwrap(), at(0)).is_none());
    }
}
