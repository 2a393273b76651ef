//! What is fuzzed: one plain function a target. The fuzzer calls them, and so does `tests/fuzz_corpus.rs`, which replays
//! the corpus on a stable compiler.

pub mod captures;
pub mod defragmenter;
pub mod engine;
pub mod frames;
pub mod import;
pub mod parsers;
pub mod policy;
pub mod reassembler;
pub mod rules;
pub mod script;
pub mod stream;
pub mod tracker;

/// Runs one input.
pub type Target = fn(&[u8]);

/// Name and function of every target. The corpus of one lies in `fuzz/corpus/NAME`.
pub const ALL: [(&str, Target); 35] = [
    ("pcap", captures::pcap),
    ("pcapng", captures::pcapng),
    ("compressed", captures::compressed),
    ("decode", frames::decode),
    ("defragmenter", defragmenter::defragmenter),
    ("reassembler", reassembler::reassembler),
    ("tracker", tracker::tracker),
    ("oscar", parsers::oscar),
    ("toc", parsers::toc),
    ("oscar_peer", parsers::oscar_peer),
    ("icq_udp", parsers::icq_udp),
    ("icq_direct", parsers::icq_direct),
    ("msnp", parsers::msnp),
    ("msn_peer", parsers::msn_peer),
    ("ymsg", parsers::ymsg),
    ("yahoo_peer", parsers::yahoo_peer),
    ("http", parsers::http),
    ("socks", parsers::socks),
    ("tls", parsers::tls),
    ("dns", parsers::dns),
    ("quic", parsers::quic),
    ("xmpp", parsers::xmpp),
    ("irc", parsers::irc),
    ("gadugadu", parsers::gadugadu),
    ("oicq", parsers::oicq),
    ("sip", parsers::sip),
    ("call", parsers::call),
    ("matrix", parsers::matrix),
    ("stream", stream::stream),
    ("rules", rules::rules),
    ("policy", policy::policy),
    ("import_l7", import::import_l7),
    ("import_suricata", import::import_suricata),
    ("frames", frames::frames),
    ("engine", engine::engine),
];
