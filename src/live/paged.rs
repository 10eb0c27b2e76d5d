//! Tables by index that grow a page at a time: no copying of what is there, no doubled room.

/// Entries of a page.
const PAGE: usize = 1 << 10;

/// A table of `T` by index; an entry that was never written is the default.
pub struct Paged<T> {
    pages: Vec<Option<Box<[T]>>>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Default> Paged<T> {
    /// The entry at an index, if its page exists.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index / PAGE)?.as_ref().map(|page| &page[index % PAGE])
    }

    /// The entry at an index, made where it is not.
    pub fn entry(&mut self, index: usize) -> &mut T {
        let page = index / PAGE;
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| (0..PAGE).map(|_| T::default()).collect());
        &mut page[index % PAGE]
    }

    /// The index after the last that has a page.
    pub fn end(&self) -> usize {
        self.pages.len() * PAGE
    }
}
