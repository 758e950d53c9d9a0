//! The compact form: one zstd frame that holds one CBOR map.

use std::io::Read as _;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::{
    Channel, Event, Field, MOST_BYTES, MOST_CHANNELS, MOST_FIELDS, MOST_NAME, MOST_RECORDS, MOST_TEXT,
    MOST_UNPACKED, Message, Refused, Sender, Stamp, Telemetry, VERSION, at_most, checked_name, column,
};

/// A message is small and sent once: as dense as can be had for some milliseconds.
const LEVEL: i32 = 19;
/// A frame that wants a larger window than [`MOST_UNPACKED`] is refused; as a power of two.
const WINDOW: u32 = MOST_UNPACKED.ilog2();
/// Columns that every message of telemetry has.
const STAMPS: [&str; 5] = ["boot", "sequence", "uptime_ms", "wall_ms", "span_ms"];
/// Members of a message that are not known may be skipped, so many of them.
const MOST_UNKNOWN: u64 = 16;

type Writing = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

/// Writes a message. Refused is what a reader would refuse.
pub fn write(message: &Message) -> Result<Vec<u8>, Refused> {
    let mut encoder = Encoder::new(Vec::new());
    match message {
        Message::Telemetry(telemetry) => write_telemetry(&mut encoder, telemetry)?,
        Message::Events { from, events } => {
            at_most("events", events.len() as u64, MOST_RECORDS)?;
            let written = write_head(&mut encoder, "events", from, 1)
                .and_then(|()| encoder.str("events")?.array(events.len() as u64).map(|_| ()))
                .and_then(|()| events.iter().try_for_each(|event| write_event(&mut encoder, event)));
            written.map_err(|error| Refused::Cbor(error.to_string()))?;
        }
    }
    let unpacked = encoder.into_writer();
    at_most("message", unpacked.len() as u64, MOST_UNPACKED)?;
    let packed =
        zstd::bulk::compress(&unpacked, LEVEL).map_err(|error| Refused::Packing(error.to_string()))?;
    at_most("message", packed.len() as u64, MOST_BYTES)?;
    Ok(packed)
}

/// Reads a message.
pub fn read(bytes: &[u8]) -> Result<Message, Refused> {
    let unpacked = unpack(bytes)?;
    let mut decoder = Decoder::new(&unpacked);
    let mut parts = Parts::default();
    let members = length(decoder.map(), "message")?;
    at_most("message", members, 7 + MOST_UNKNOWN as usize)?;
    for _ in 0..members {
        let key = text(&mut decoder, MOST_NAME)?;
        let twice = match key {
            "v" => parts.version.replace(number(decoder.u64())?).is_some(),
            "kind" => parts.kind.replace(text(&mut decoder, MOST_NAME)?.to_owned()).is_some(),
            "site" => parts.site.replace(checked_name(text(&mut decoder, MOST_NAME)?)?.to_owned()).is_some(),
            "hub" => parts.hub.replace(checked_name(text(&mut decoder, MOST_NAME)?)?.to_owned()).is_some(),
            "store" => parts.store.replace(store(&mut decoder)?).is_some(),
            "columns" => parts.columns.replace(columns(&mut decoder)?).is_some(),
            "events" => parts.events.replace(events(&mut decoder)?).is_some(),
            _ => {
                decoder.skip().map_err(cbor)?;
                false
            }
        };
        if twice {
            return Err(Refused::Twice(key.to_owned()));
        }
    }
    if decoder.position() != unpacked.len() {
        return Err(Refused::Cbor("something follows the message".into()));
    }
    parts.message()
}

/// Unpacks one frame, no further than a message may reach.
fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    let packing = |error: std::io::Error| Refused::Packing(error.to_string());
    let mut frame = zstd::Decoder::with_buffer(bytes).map_err(packing)?.single_frame();
    frame.window_log_max(WINDOW).map_err(packing)?;
    let mut unpacked = Vec::new();
    frame.by_ref().take(MOST_UNPACKED as u64 + 1).read_to_end(&mut unpacked).map_err(packing)?;
    at_most("unpacked message", unpacked.len() as u64, MOST_UNPACKED)?;
    if frame.finish().is_empty() {
        Ok(unpacked)
    } else {
        Err(Refused::Packing("something follows the frame".into()))
    }
}

fn write_head(encoder: &mut Encoder<Vec<u8>>, kind: &str, from: &Sender, more: u64) -> Writing {
    encoder.map(5 + more)?.str("v")?.u64(VERSION)?.str("kind")?.str(kind)?;
    encoder.str("site")?.str(&from.site)?.str("hub")?.str(&from.hub)?.str("store")?.bytes(&from.store)?;
    Ok(())
}

fn write_telemetry(encoder: &mut Encoder<Vec<u8>>, telemetry: &Telemetry) -> Result<(), Refused> {
    let cbor = |error: minicbor::encode::Error<_>| Refused::Cbor(error.to_string());
    at_most("telemetry", telemetry.stamps.len() as u64, MOST_RECORDS)?;
    at_most("channels", telemetry.channels.len() as u64, MOST_CHANNELS)?;
    write_head(encoder, "telemetry", &telemetry.from, 1).map_err(cbor)?;
    encoder
        .str("columns")
        .map_err(cbor)?
        .map((STAMPS.len() + telemetry.channels.len()) as u64)
        .map_err(cbor)?;
    let of = |get: fn(&Stamp) -> Option<i64>| telemetry.stamps.iter().map(get).collect::<Vec<_>>();
    let spans = telemetry.spans_ms.iter().copied().map(Some).collect();
    let stamps = [
        of(|stamp| Some(stamp.boot)),
        of(|stamp| Some(stamp.sequence)),
        of(|stamp| Some(stamp.uptime_ms)),
        of(|stamp| stamp.wall_ms),
        spans,
    ];
    let stamps = STAMPS.iter().zip(&stamps).map(|(name, values)| (*name, 1, values));
    let channels = telemetry.channels.iter().map(|channel| (&*channel.name, channel.parts, &channel.values));
    for (name, parts, values) in stamps.chain(channels) {
        if values.len() != telemetry.stamps.len() {
            return Err(ragged(name, values.len(), telemetry.stamps.len()));
        }
        encoder.str(checked_name(name)?).map_err(cbor)?;
        column::write(encoder, parts, values)?;
    }
    Ok(())
}

fn write_event(encoder: &mut Encoder<Vec<u8>>, event: &Event) -> Writing {
    let Stamp { boot, sequence, uptime_ms, wall_ms } = event.stamp;
    encoder
        .map(6)?
        .str("boot")?
        .i64(boot)?
        .str("sequence")?
        .i64(sequence)?
        .str("uptime_ms")?
        .i64(uptime_ms)?;
    encoder.str("wall_ms")?;
    match wall_ms {
        Some(wall) => encoder.i64(wall)?,
        None => encoder.null()?,
    };
    encoder.str("what")?.str(&event.what)?.str("fields")?.map(event.fields.len() as u64)?;
    for (name, field) in &event.fields {
        encoder.str(name)?;
        match field {
            Field::Text(text) => encoder.str(text)?,
            Field::Number(number) => encoder.f64(*number)?,
            Field::Flag(flag) => encoder.bool(*flag)?,
        };
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn cbor(error: minicbor::decode::Error) -> Refused {
    Refused::Cbor(error.to_string())
}

fn number<T>(read: Result<T, minicbor::decode::Error>) -> Result<T, Refused> {
    read.map_err(cbor)
}

/// A length that is told before what it is the length of.
fn length(told: Result<Option<u64>, minicbor::decode::Error>, what: &str) -> Result<u64, Refused> {
    told.map_err(cbor)?.ok_or_else(|| Refused::Cbor(format!("{what}: expected a length that is told")))
}

fn text<'a>(decoder: &mut Decoder<'a>, most: usize) -> Result<&'a str, Refused> {
    let text = decoder.str().map_err(cbor)?;
    at_most("text", text.len() as u64, most)?;
    Ok(text)
}

fn store(decoder: &mut Decoder<'_>) -> Result<[u8; 16], Refused> {
    let bytes = decoder.bytes().map_err(cbor)?;
    bytes.try_into().map_err(|_| Refused::Store(format!("{} bytes", bytes.len())))
}

/// Columns by name, in the order they came.
type Columns = Vec<(String, u32, Vec<Option<i64>>)>;

fn columns(decoder: &mut Decoder<'_>) -> Result<Columns, Refused> {
    let count = at_most("channels", length(decoder.map(), "columns")?, STAMPS.len() + MOST_CHANNELS)?;
    let mut columns: Columns = Vec::with_capacity(count);
    for _ in 0..count {
        let name = checked_name(text(decoder, MOST_NAME)?)?.to_owned();
        if columns.iter().any(|(known, ..)| *known == name) {
            return Err(Refused::Twice(name));
        }
        let (parts, values) = column::read(&name, decoder)?;
        columns.push((name, parts, values));
    }
    Ok(columns)
}

fn events(decoder: &mut Decoder<'_>) -> Result<Vec<Event>, Refused> {
    let count = at_most("events", length(decoder.array(), "events")?, MOST_RECORDS)?;
    (0..count).map(|record| event(decoder, record)).collect()
}

fn event(decoder: &mut Decoder<'_>, record: usize) -> Result<Event, Refused> {
    let (mut boot, mut sequence, mut uptime_ms) = (None, None, None);
    let (mut wall_ms, mut what, mut fields) = (None, None, Vec::new());
    let members = at_most("event", length(decoder.map(), "event")?, 6 + MOST_UNKNOWN as usize)?;
    for _ in 0..members {
        match text(decoder, MOST_NAME)? {
            "boot" => boot = Some(number(decoder.i64())?),
            "sequence" => sequence = Some(number(decoder.i64())?),
            "uptime_ms" => uptime_ms = Some(number(decoder.i64())?),
            "wall_ms" if decoder.datatype().map_err(cbor)? == Type::Null => number(decoder.null())?,
            "wall_ms" => wall_ms = Some(number(decoder.i64())?),
            "what" => what = Some(checked_name(text(decoder, MOST_NAME)?)?.to_owned()),
            "fields" => fields = event_fields(decoder)?,
            _ => decoder.skip().map_err(cbor)?,
        }
    }
    let stamp = Stamp {
        boot: boot.ok_or(Refused::Missing("boot"))?,
        sequence: sequence.ok_or(Refused::Missing("sequence"))?,
        uptime_ms: uptime_ms.ok_or(Refused::Missing("uptime_ms"))?,
        wall_ms,
    };
    stamp.check(record)?;
    Ok(Event { stamp, what: what.ok_or(Refused::Missing("what"))?, fields })
}

fn event_fields(decoder: &mut Decoder<'_>) -> Result<Vec<(String, Field)>, Refused> {
    let count = at_most("fields", length(decoder.map(), "fields")?, MOST_FIELDS)?;
    let mut fields: Vec<(String, Field)> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = checked_name(text(decoder, MOST_NAME)?)?.to_owned();
        if fields.iter().any(|(known, _)| *known == name) {
            return Err(Refused::Twice(name));
        }
        let field = match decoder.datatype().map_err(cbor)? {
            Type::Bool => Field::Flag(number(decoder.bool())?),
            Type::String => Field::Text(text(decoder, MOST_TEXT)?.to_owned()),
            Type::F32 | Type::F64 => Field::Number(number(decoder.f64())?),
            _ => Field::Number(number(decoder.i64())? as f64),
        };
        fields.push((name, field));
    }
    Ok(fields)
}

/// What was read of a message so far.
#[derive(Default)]
struct Parts {
    version: Option<u64>,
    kind: Option<String>,
    site: Option<String>,
    hub: Option<String>,
    store: Option<[u8; 16]>,
    columns: Option<Columns>,
    events: Option<Vec<Event>>,
}

impl Parts {
    fn message(self) -> Result<Message, Refused> {
        let version = self.version.ok_or(Refused::Missing("v"))?;
        if version == 0 {
            return Err(Refused::Version(version));
        }
        let from = Sender {
            site: self.site.ok_or(Refused::Missing("site"))?,
            hub: self.hub.ok_or(Refused::Missing("hub"))?,
            store: self.store.ok_or(Refused::Missing("store"))?,
        };
        match self.kind.as_deref().ok_or(Refused::Missing("kind"))? {
            "telemetry" => telemetry(from, self.columns.ok_or(Refused::Missing("columns"))?),
            "events" => Ok(Message::Events { from, events: self.events.ok_or(Refused::Missing("events"))? }),
            other => Err(Refused::Kind(other.to_owned())),
        }
    }
}

fn telemetry(from: Sender, mut columns: Columns) -> Result<Message, Refused> {
    let mut take = |name: &'static str| {
        let place = columns.iter().position(|(known, ..)| known == name).ok_or(Refused::Missing(name))?;
        Ok::<_, Refused>(columns.remove(place).2)
    };
    let (boots, sequences, uptimes) = (take(STAMPS[0])?, take(STAMPS[1])?, take(STAMPS[2])?);
    let (walls, spans) = (take(STAMPS[3])?, take(STAMPS[4])?);
    let records = boots.len();
    for (name, column) in STAMPS.iter().zip([&boots, &sequences, &uptimes, &walls, &spans]) {
        if column.len() != records {
            return Err(ragged(name, column.len(), records));
        }
    }
    let told = |column: &[Option<i64>], record: usize, name| column[record].ok_or(Refused::Missing(name));
    let mut stamps = Vec::with_capacity(records);
    let mut spans_ms = Vec::with_capacity(records);
    for (record, wall_ms) in walls.into_iter().enumerate() {
        let stamp = Stamp {
            boot: told(&boots, record, STAMPS[0])?,
            sequence: told(&sequences, record, STAMPS[1])?,
            uptime_ms: told(&uptimes, record, STAMPS[2])?,
            wall_ms,
        };
        stamp.check(record)?;
        stamps.push(stamp);
        spans_ms.push(told(&spans, record, STAMPS[4])?);
    }
    let mut channels = Vec::with_capacity(columns.len());
    for (name, parts, values) in columns {
        if values.len() != records {
            return Err(ragged(&name, values.len(), records));
        }
        channels.push(Channel { name, parts, values });
    }
    Ok(Message::Telemetry(Telemetry { from, stamps, spans_ms, channels }))
}

fn ragged(name: &str, found: usize, expected: usize) -> Refused {
    Refused::Ragged { name: name.to_owned(), found, expected }
}

impl Stamp {
    pub(super) fn check(&self, record: usize) -> Result<(), Refused> {
        let parts = [("boot", self.boot), ("sequence", self.sequence), ("uptime_ms", self.uptime_ms)];
        for (name, found) in parts {
            if found < 0 {
                return Err(Refused::Value { name, found, record, expected: "0 or more" });
            }
        }
        Ok(())
    }
}
