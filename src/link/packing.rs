//! What is sent on a connection on its way into a compressed stream.

use std::cell::RefCell;

use natsd_core::compression::stream::{Packer, Workspace};

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// What to write first of what waits.
pub(super) fn front<'a>(packer: &'a mut Option<Box<Packer>>, waiting: &'a [u8]) -> &'a [u8] {
    let Some(packer) = packer else { return waiting };
    WORKSPACE.with_borrow_mut(|workspace| packer.pack(workspace, waiting));
    packer.front(waiting)
}
