//! Many small byte strings in pages: four bytes to name one, no bytes lost to an allocator's classes, and room
//! that is given back is used again for the next string of the same size.

/// Bytes of a page.
const PAGE: usize = 1 << 16;
/// Strings begin at multiples of this many bytes, so that a place reaches 8 GiB.
const ALIGN: usize = 4;
/// Longer strings stand alone.
const LONGEST: usize = PAGE / 4;
/// Set in the place of a string that stands alone.
const ALONE: u32 = 1 << 31;

/// Where a string stands in its heap; the default is nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Place(u32);

impl Place {
    /// Whether a string stands there.
    pub fn is_some(self) -> bool {
        self != Self::default()
    }
}

/// The strings. A string in a page is its length in two bytes, then its bytes.
#[derive(Default)]
pub struct Heap {
    pages: Vec<Box<[u8]>>,
    /// Where the next string goes, in units of `ALIGN`. The first unit is no place.
    end: u32,
    /// Places given back, by size in units of `ALIGN`.
    holes: Vec<Vec<u32>>,
    alone: Vec<Box<[u8]>>,
    free_alone: Vec<u32>,
}

impl Heap {
    /// The room for a string. Sizes above 128 bytes are an eighth apart, so that a string that grows a little
    /// often stays where it is, and what it leaves behind fits others.
    fn units(length: usize) -> usize {
        let exact = (length + 2).div_ceil(ALIGN);
        let step = (exact / 32).next_power_of_two();
        if exact < 32 { exact } else { exact.next_multiple_of(step * 4) }
    }

    /// The string at a place; empty where there is none.
    #[inline]
    pub fn get(&self, place: Place) -> &[u8] {
        if place.0 & ALONE != 0 {
            return &self.alone[(place.0 & !ALONE) as usize];
        }
        if place.0 == 0 {
            return &[];
        }
        let start = place.0 as usize * ALIGN;
        let (page, at) = (&self.pages[start / PAGE], start % PAGE);
        let length = usize::from(u16::from_le_bytes([page[at], page[at + 1]]));
        &page[at + 2..at + 2 + length]
    }

    /// Puts a string somewhere.
    pub fn put(&mut self, bytes: &[u8]) -> Place {
        if bytes.len() > LONGEST {
            return self.put_alone(bytes);
        }
        let units = Self::units(bytes.len());
        let place = match self.holes.get_mut(units).and_then(Vec::pop) {
            Some(place) => place,
            None => self.append(units as u32),
        };
        self.write(place, bytes);
        Place(place)
    }

    fn write(&mut self, place: u32, bytes: &[u8]) {
        let start = place as usize * ALIGN;
        let (page, at) = (&mut self.pages[start / PAGE], start % PAGE);
        page[at..at + 2].copy_from_slice(&(bytes.len() as u16).to_le_bytes());
        page[at + 2..at + 2 + bytes.len()].copy_from_slice(bytes);
    }

    /// Room at the end, on a new page where the last has too little.
    fn append(&mut self, units: u32) -> u32 {
        let page_units = (PAGE / ALIGN) as u32;
        let room = self.pages.len() as u32 * page_units - self.end.min(self.pages.len() as u32 * page_units);
        if room < units {
            self.end = (self.pages.len() as u32 * page_units).max(1);
            self.pages.push(vec![0; PAGE].into_boxed_slice());
        }
        let place = self.end;
        assert!(place + units < ALONE, "a shard's strings fit into 8 GiB");
        self.end += units;
        place
    }

    fn put_alone(&mut self, bytes: &[u8]) -> Place {
        let place = self.free_alone.pop().unwrap_or_else(|| {
            self.alone.push(Box::default());
            (self.alone.len() - 1) as u32
        });
        self.alone[place as usize] = bytes.into();
        Place(place | ALONE)
    }

    /// Gives a place back.
    pub fn free(&mut self, place: Place) {
        if place.0 & ALONE != 0 {
            let place = place.0 & !ALONE;
            self.alone[place as usize] = Box::default();
            self.free_alone.push(place);
        } else if place.0 != 0 {
            let units = Self::units(self.get(place).len());
            if self.holes.len() <= units {
                self.holes.resize_with(units + 1, Vec::new);
            }
            self.holes[units].push(place.0);
        }
    }

    /// Puts a string in the place of another.
    pub fn replace(&mut self, place: Place, bytes: &[u8]) -> Place {
        if place.is_some()
            && place.0 & ALONE == 0
            && bytes.len() <= LONGEST
            && Self::units(bytes.len()) == Self::units(self.get(place).len())
        {
            self.write(place.0, bytes);
            return place;
        }
        self.free(place);
        self.put(bytes)
    }

    /// How many bytes its pages take.
    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE + self.alone.iter().map(|bytes| bytes.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_kept_and_room_is_used_again(
            steps in prop::collection::vec((0_usize..12, prop_oneof![0_usize..80, 16_000_usize..17_000, 60_000_usize..70_000]), 1..120),
        ) {
            let mut heap = Heap::default();
            let mut kept: Vec<(Place, Vec<u8>)> = vec![(Place::default(), Vec::new()); 12];
            for (number, (slot, length)) in steps.into_iter().enumerate() {
                let bytes = vec![number as u8; length];
                kept[slot] = (heap.replace(kept[slot].0, &bytes), bytes);
                for (place, bytes) in &kept {
                    prop_assert_eq!(heap.get(*place), bytes.as_slice());
                }
            }
            prop_assert!(kept.iter().filter(|(place, _)| place.is_some()).count() <= 12);
            let before = heap.bytes();
            for _ in 0..1_000 {
                let place = heap.put(&[1; 40]);
                heap.free(place);
            }
            prop_assert!(heap.bytes() <= before + PAGE);
        }
    }
}
