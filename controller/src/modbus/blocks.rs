//! Which registers go into one request: split at gaps, at the largest read, at registers that must be read
//! alone; and split further when the device says that an address does not exist. Pure.

use crate::device_file::{Limits, ReadFunction, Register};

/// One request of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) function: ReadFunction,
    pub(crate) address: u16,
    pub(crate) count: u16,
    /// Which of the device's wanted registers it brings, in order of address.
    pub(crate) members: Vec<usize>,
}

impl Block {
    fn new(function: ReadFunction, members: Vec<usize>, registers: &[Register]) -> Self {
        let address = members.iter().map(|&at| registers[at].address).min().unwrap_or(0);
        let end = members.iter().map(|&at| registers[at].end()).max().unwrap_or(0);
        Self { function, address, count: (end - u32::from(address)) as u16, members }
    }

    /// The words of one of its members within a reply to it.
    pub(crate) fn words_of<'a>(&self, register: &Register, words: &'a [u16]) -> &'a [u16] {
        let start = usize::from(register.address - self.address);
        words.get(start..start + usize::from(register.kind.width())).unwrap_or_default()
    }

    /// Two smaller requests: cut at the widest gap, else in the middle; `None` if one register is all there is.
    pub(crate) fn split(&self, registers: &[Register]) -> Option<[Self; 2]> {
        let address = |&member: &usize| registers[member].address;
        let cuts = (1..self.members.len())
            .filter(|&cut| address(&self.members[cut - 1]) != address(&self.members[cut]));
        let middle = self.members.len() / 2;
        let cut = cuts.max_by_key(|&cut| {
            let gap = u32::from(address(&self.members[cut])) - registers[self.members[cut - 1]].end();
            (gap, std::cmp::Reverse(cut.abs_diff(middle)))
        })?;
        let half = |members: &[usize]| Self::new(self.function, members.to_vec(), registers);
        Some([half(&self.members[..cut]), half(&self.members[cut..])])
    }
}

/// The requests that bring `members` (places in `registers`).
pub(crate) fn plan(members: &[usize], registers: &[Register], limits: &Limits) -> Vec<Block> {
    let mut sorted = members.to_vec();
    sorted.sort_by_key(|&at| (registers[at].function, registers[at].address, registers[at].bit));
    let mut blocks: Vec<Block> = Vec::new();
    for at in sorted {
        let register = &registers[at];
        let fits = blocks.last().is_some_and(|block| {
            let end = u32::from(block.address) + u32::from(block.count);
            let most = limits.max_read[usize::from(register.function.code()) - 1];
            let alone = register.alone || block.members.iter().any(|&member| registers[member].alone);
            let same_word = block.members.iter().any(|&member| registers[member].address == register.address);
            block.function == register.function
                && (same_word || !alone)
                && u32::from(register.address) <= end + u32::from(limits.merge_gap)
                && register.end() - u32::from(block.address) <= u32::from(most)
        });
        match blocks.last_mut() {
            Some(block) if fits => {
                block.members.push(at);
                block.count = block.count.max((register.end() - u32::from(block.address)) as u16);
            }
            _ => blocks.push(Block::new(register.function, vec![at], registers)),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_file::Catalogue;
    use proptest::prelude::*;

    fn spans(blocks: &[Block]) -> Vec<(u8, u16, u16)> {
        blocks.iter().map(|block| (block.function.code(), block.address, block.count)).collect()
    }

    fn planned(key: &str, names: &[&str]) -> Vec<Block> {
        let file = Catalogue::load(None).unwrap().get(key).unwrap();
        let registers: Vec<_> = names.iter().map(|name| file.register(name).unwrap().clone()).collect();
        plan(&(0..registers.len()).collect::<Vec<_>>(), &registers, &file.limits)
    }

    #[test]
    fn epever_is_split_at_gaps_and_lonely_registers() {
        let names = [
            "battery.soc",
            "pv.voltage",
            "pv.current",
            "pv.power",
            "battery.voltage",
            "load.power",
            "load.current",
            "battery.temperature",
            "battery.remote_temperature",
            "settings.battery_type",
        ];
        let expected = [(3, 0x9000, 1), (4, 0x3100, 5), (4, 0x310D, 4), (4, 0x311A, 1), (4, 0x311B, 1)];
        assert_eq!(spans(&planned("epever_tracer", &names)), expected);
    }

    #[test]
    fn eastron_reads_over_gaps_up_to_its_largest_read() {
        let names = ["voltage.l1", "power.total", "power.l3", "frequency", "energy.import", "energy.total"];
        // From 0x0012 to 0x0034 is wider than the file allows to read over.
        let expected = [(4, 0, 0x12), (4, 0x34, 0x16), (4, 0x156, 2)];
        assert_eq!(spans(&planned("eastron_sdm630", &names)), expected);
    }

    fn any_registers() -> impl Strategy<Value = (Vec<Register>, Limits)> {
        let template = Catalogue::load(None).unwrap().get("epever_tracer").unwrap();
        let register = template.register("pv.power").unwrap().clone();
        (prop::collection::btree_map(0_u16..300, any::<bool>(), 1..40), 2_u16..=125, 0_u16..20).prop_map(
            move |(places, most, merge_gap)| {
                let limits = Limits { max_read: [most; 4], merge_gap, ..template.limits.clone() };
                let place = |(address, alone)| Register { address: address * 2, alone, ..register.clone() };
                (places.into_iter().map(place).collect(), limits)
            },
        )
    }

    proptest! {
        #[test]
        fn every_register_is_read_whole_in_exactly_one_request((registers, limits) in any_registers()) {
            let mut blocks = plan(&(0..registers.len()).collect::<Vec<_>>(), &registers, &limits);
            let mut single = Vec::new();
            let mut seen = vec![0; registers.len()];
            for block in &blocks {
                prop_assert!(block.count <= limits.max_read[3]);
                for &member in &block.members {
                    seen[member] += 1;
                    prop_assert!(!registers[member].alone || block.members.len() == 1);
                    prop_assert!(registers[member].address >= block.address);
                    prop_assert!(registers[member].end() <= u32::from(block.address) + u32::from(block.count));
                }
            }
            prop_assert!(seen.iter().all(|&count| count == 1));
            // Splitting to the end reaches every register alone, and never tears one.
            while let Some(block) = blocks.pop() {
                match block.split(&registers) {
                    Some(halves) => blocks.extend(halves),
                    None => {
                        prop_assert_eq!(block.count, 2);
                        single.extend(block.members);
                    }
                }
            }
            single.sort_unstable();
            prop_assert_eq!(single, (0..registers.len()).collect::<Vec<_>>());
        }
    }
}
