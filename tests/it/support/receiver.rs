//! A receiver of webhooks: a tiny HTTP server of any temper.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method, path and version.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    fn key(&self) -> String {
        self.headers.get("idempotency-key").cloned().unwrap_or_default()
    }
}

/// What a receiver does with a request.
pub enum Answer {
    /// A status, and further headers.
    Status(u16, &'static str),
    /// Says nothing and keeps the connection.
    Hang,
    /// Closes the connection.
    Close,
}

/// A receiver that runs until the process ends.
pub struct Receiver {
    pub url: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
    /// Idempotency keys of what was answered with 200, in order; empty where a request has none.
    pub taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Listens on a free port; `temper` gets the number of the request.
    pub fn start(temper: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(SocketAddr::from(([127, 0, 0, 1], 0)), temper)
    }

    /// Listens on an address.
    pub fn on(address: SocketAddr, temper: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let url = format!("http://{}/alerts", listener.local_addr().expect("an address"));
        let receiver = Self { url, requests: Arc::default(), taken: Arc::default() };
        let (requests, taken) = (receiver.requests.clone(), receiver.taken.clone());
        let (temper, number) = (Arc::new(temper), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (requests, taken) = (requests.clone(), taken.clone());
                let (temper, number) = (temper.clone(), number.clone());
                std::thread::spawn(move || serve(stream, &*temper, &number, &requests, &taken));
            }
        });
        receiver
    }

    /// The keys of all requests, in order.
    pub fn keys(&self) -> Vec<String> {
        self.requests.lock().iter().map(Request::key).collect()
    }
}

/// An address where nobody listens now, and someone may later.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn serve(
    stream: TcpStream,
    temper: &dyn Fn(usize) -> Answer,
    number: &AtomicUsize,
    requests: &Mutex<Vec<Request>>,
    taken: &Mutex<Vec<String>>,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("the stream"));
    let mut writer = stream;
    while let Some(request) = read_request(&mut reader) {
        let key = request.key();
        requests.lock().push(request);
        match temper(number.fetch_add(1, Ordering::Relaxed)) {
            Answer::Status(status, headers) => {
                if status == 200 {
                    taken.lock().push(key);
                }
                let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 2\r\n\r\nok");
                if writer.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
            Answer::Hang => std::thread::sleep(Duration::from_secs(60)),
            Answer::Close => return,
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line: line.trim().to_owned(), headers, body: String::from_utf8(body).ok()? })
}
