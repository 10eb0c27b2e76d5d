//! Standard input: JSON Lines from whatever is piped in.

use super::channel::Handle;
use super::lines::{self, BUFFER, Ended, Pace};
use super::{Filling, Limits, Outlet, Source, SourceError};
use crate::config;
use crate::record::Origin;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Pieces that are read ahead.
const AHEAD: usize = 4;
/// How often a waiting reader looks whether it is time to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Standard input, read to its end.
pub struct StdinSource {
    default_type: Option<String>,
    limits: Limits,
}

impl StdinSource {
    /// The source of a configuration.
    pub fn new(config: &config::StdinSource, limits: Limits) -> Self {
        let default_type = Some(config.default_type.clone()).filter(|tag| !tag.is_empty());
        Self { default_type, limits }
    }
}

impl Source for StdinSource {
    fn name(&self) -> String {
        "stdin".to_owned()
    }

    fn run(self: Box<Self>, outlet: &Outlet) -> Result<(), SourceError> {
        let mut filling = Filling::new(self.limits);
        feed(self.default_type, &mut filling, outlet)?;
        let _stopping = outlet.flush(&mut filling);
        Ok(())
    }
}

/// Reads lines of standard input to their end; see [`lines::feed`].
///
/// # Errors
/// It cannot be read.
pub fn feed(default_type: Option<String>, filling: &mut Filling, outlet: &Outlet) -> Result<Ended, SourceError> {
    let origin = Arc::new(Origin { name: "stdin".to_owned(), separator: ':', default_type });
    let pipe = Pipe::start(io::stdin(), outlet.handle()).map_err(SourceError::Thread)?;
    let mut reader = BufReader::with_capacity(BUFFER, pipe);
    match lines::feed(&mut reader, &origin, Pace::Waiting, filling, outlet) {
        Err(_) if outlet.stopping() => Ok(Ended::Stopped),
        ended => ended.map_err(SourceError::Stdin),
    }
}

/// A reader that fails as soon as it is time to stop. A read from a pipe cannot be interrupted, so another thread
/// does it, which may hang there until the process ends.
struct Pipe {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    handle: Handle,
}

impl Pipe {
    fn start(mut from: impl Read + Send + 'static, handle: Handle) -> io::Result<Self> {
        let (sender, pieces) = sync_channel(AHEAD);
        let read = move || {
            loop {
                let mut piece = vec![0; BUFFER];
                let read = from.read(&mut piece).map(|length| {
                    piece.truncate(length);
                    piece
                });
                match &read {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    _ => {}
                }
                let ended = !matches!(&read, Ok(piece) if !piece.is_empty());
                if sender.send(read).is_err() || ended {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
        Ok(Self { pieces, piece: io::Cursor::default(), handle })
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => self.piece = io::Cursor::new(piece?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.handle.stopping() {
                return Err(io::Error::other("it is time to stop"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::channel::channel;
    use super::*;

    /// Gives a piece, then nothing for ever.
    struct Quiet(Option<&'static [u8]>);

    impl Read for Quiet {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.take() {
                Some(piece) => {
                    buffer[..piece.len()].copy_from_slice(piece);
                    Ok(piece.len())
                }
                None => loop {
                    std::thread::park();
                },
            }
        }
    }

    #[test]
    fn a_quiet_pipe_does_not_hold_up_a_stop_and_half_a_line_is_no_record() {
        let (outlet, inlet) = channel(9);
        let handle = outlet.handle();
        let mut reader = BufReader::new(Pipe::start(Quiet(Some(b"whole\nhal")), handle).expect("a thread"));
        let origin = Arc::new(Origin { name: "stdin".to_owned(), separator: ':', default_type: None });
        let mut filling = Filling::new(Limits::bulk());
        let stop = std::thread::spawn(move || {
            let first = inlet.receive(Duration::from_secs(30));
            inlet.stop();
            let super::super::Received::Event(super::super::Event::Batch(delivery)) = first else { panic!("a batch") };
            delivery.batch.messages.len()
        });
        let ended = lines::feed(&mut reader, &origin, Pace::Waiting, &mut filling, &outlet);
        // It learns of the stop while it reads, or already when it hands over what was whole.
        assert!(matches!(ended, Err(_) | Ok(Ended::Stopped)) && outlet.stopping());
        assert_eq!(stop.join().expect("no panic"), 1, "what was whole did not wait");
    }

    #[test]
    fn a_pipe_gives_everything_to_its_end() {
        let (outlet, _inlet) = channel(1);
        let text: Vec<u8> = (0..600_000_u32).flat_map(u32::to_le_bytes).collect();
        let handle = outlet.handle();
        let mut pipe = Pipe::start(io::Cursor::new(text.clone()), handle).expect("a thread");
        let mut read = Vec::new();
        pipe.read_to_end(&mut read).expect("no error");
        assert!(read == text);
    }
}
