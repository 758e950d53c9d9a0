//! Records of telemetry as columns of the lake: each channel into the column of its name, those of a load into
//! `loads`, and what the lake has no column for into `more`.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, ListBuilder, StringBuilder, StructBuilder,
};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema};
use sunkeep_models::lake;
use sunkeep_models::wire::{Channel, Telemetry};

use super::happened::digits;
use super::held::{REFUSED_WALL, Row};

/// Shapes that are remembered while a file is made.
const MOST_SHAPES: usize = 64;
/// What no channel may fill: a record's identity and stamp.
const OWN: [&str; 8] = ["site", "hub", "store", "boot", "sequence", "uptime_ms", "span_ms", "wall"];

/// Where channels of these names go: worked out once for all messages that have them.
struct Shape<'a> {
    /// The channels that it is of.
    channels: &'a [Channel],
    /// Channel by the place of its column.
    columns: Vec<Option<usize>>,
    /// By the load, in the order of their names: whether it was on, and its power.
    loads: BTreeMap<&'a str, [Option<usize>; 2]>,
    more: Vec<usize>,
}

impl<'a> Shape<'a> {
    fn of(channels: &'a [Channel], fillable: &BTreeMap<&str, usize>, columns: usize) -> Self {
        let mut shape =
            Self { channels, columns: vec![None; columns], loads: BTreeMap::new(), more: Vec::new() };
        for (place, channel) in channels.iter().enumerate() {
            let name = channel.name.as_str();
            let of_load = |end| name.strip_prefix("load.")?.strip_suffix(end).filter(|load| !load.is_empty());
            if let Some(load) = of_load(".on") {
                shape.loads.entry(load).or_default()[0] = Some(place);
            } else if let Some(load) = of_load(".w") {
                shape.loads.entry(load).or_default()[1] = Some(place);
            } else if let Some(column) = fillable.get(name) {
                shape.columns[*column] = Some(place);
            } else {
                shape.more.push(place);
            }
        }
        shape
    }

    fn fits(&self, channels: &[Channel]) -> bool {
        self.channels.len() == channels.len()
            && self.channels.iter().zip(channels).all(|(one, other)| one.name == other.name)
    }
}

/// A message, and where its channels go.
struct Layout<'a> {
    from: &'a Telemetry,
    shape: Rc<Shape<'a>>,
    store: String,
}

impl Layout<'_> {
    fn value(&self, place: Option<usize>, row: Row) -> Option<f64> {
        self.from.channels.get(place?)?.value(row.record)
    }
}

/// The layout of each message that rows are of. Hubs of one version mostly have one shape in a file, so those before are
/// asked first.
fn layouts<'a>(messages: &'a [Telemetry], rows: &[Row], schema: &Schema) -> BTreeMap<usize, Layout<'a>> {
    let fields = schema.fields().iter().enumerate();
    let fillable: BTreeMap<&str, usize> = fields
        .filter(|(_, field)| is_filled_by_channel(field))
        .map(|(place, field)| (field.name().as_str(), place))
        .collect();
    let mut shapes: VecDeque<Rc<Shape<'a>>> = VecDeque::new();
    let mut layouts = BTreeMap::new();
    for row in rows {
        layouts.entry(row.message).or_insert_with(|| {
            let from = &messages[row.message];
            let known = shapes.iter().find(|shape| shape.fits(&from.channels)).cloned();
            let shape = known.unwrap_or_else(|| {
                let shape = Rc::new(Shape::of(&from.channels, &fillable, schema.fields().len()));
                shapes.push_front(shape.clone());
                shapes.truncate(MOST_SHAPES);
                shape
            });
            Layout { from, shape, store: digits(&from.from.store) }
        });
    }
    layouts
}

/// Whether a channel of the field's name fills it.
fn is_filled_by_channel(field: &FieldRef) -> bool {
    let plain = matches!(field.data_type(), DataType::Float32 | DataType::Boolean | DataType::Int64);
    plain && !OWN.contains(&field.name().as_str())
}

/// The rows of records, in the order of the lake.
pub(super) fn rows(messages: &[Telemetry], rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let schema = lake::filed_telemetry();
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| {
        let Telemetry { from, stamps, .. } = &messages[row.message];
        let stamp = &stamps[row.record];
        (from.site.as_str(), from.hub.as_str(), from.store, stamp.boot, stamp.sequence)
    });
    let layouts = layouts(messages, &rows, &schema);
    let rows: Vec<(&Layout<'_>, Row)> = rows.iter().map(|row| (&layouts[&row.message], *row)).collect();
    let fields = schema.fields().iter().enumerate();
    let columns = fields.map(|(place, field)| column(place, field, &rows)).collect();
    RecordBatch::try_new(schema, columns)
}

fn column(place: usize, field: &FieldRef, rows: &[(&Layout<'_>, Row)]) -> ArrayRef {
    let number = |of: &dyn Fn(&Telemetry, Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(layout, row)| of(layout.from, *row))))
    };
    let name = field.name().as_str();
    let values = || rows.iter().map(|(layout, row)| layout.value(layout.shape.columns[place], *row));
    match name {
        "site" => {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(layout, _)| &layout.from.from.site)))
        }
        "hub" => {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(layout, _)| &layout.from.from.hub)))
        }
        "store" => Arc::new(StringArray::from_iter_values(rows.iter().map(|(layout, _)| &layout.store))),
        "boot" => number(&|from, row| from.stamps[row.record].boot),
        "sequence" => number(&|from, row| from.stamps[row.record].sequence),
        "uptime_ms" => number(&|from, row| from.stamps[row.record].uptime_ms),
        "span_ms" => number(&|from, row| from.spans_ms[row.record]),
        "wall" => {
            let walls = rows.iter().map(|(_, row)| row.wall_ms);
            Arc::new(walls.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
        }
        "loads" => loads(field, rows),
        "more" => more(field, rows),
        _ => match field.data_type() {
            DataType::Float32 => {
                Arc::new(values().map(|value| value.map(|value| value as f32)).collect::<Float32Array>())
            }
            DataType::Boolean => {
                Arc::new(values().map(|value| value.map(|value| value != 0.0)).collect::<BooleanArray>())
            }
            DataType::Int64 => Arc::new(
                values().map(|value| value.map(|value| value.round() as i64)).collect::<Int64Array>(),
            ),
            // Nothing that travels fills it: who told the time is told by an event.
            other => arrow_array::new_null_array(other, rows.len()),
        },
    }
}

/// A list of structs; each row appends as many as it has.
fn list(
    field: &FieldRef,
    rows: &[(&Layout<'_>, Row)],
    append: impl Fn(&mut StructBuilder, &Layout<'_>, Row) -> Option<()>,
) -> ArrayRef {
    let DataType::List(item) = field.data_type() else {
        return arrow_array::new_null_array(field.data_type(), rows.len());
    };
    let DataType::Struct(fields) = item.data_type() else {
        return arrow_array::new_null_array(field.data_type(), rows.len());
    };
    let mut builder =
        ListBuilder::new(StructBuilder::from_fields(fields.clone(), rows.len())).with_field(item.clone());
    for (layout, row) in rows {
        // The builders are those of the fields that are asked for here; nothing is left half appended.
        let _ = append(builder.values(), layout, *row);
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn loads(field: &FieldRef, rows: &[(&Layout<'_>, Row)]) -> ArrayRef {
    list(field, rows, |builder, layout, row| {
        for (name, [on, watts]) in &layout.shape.loads {
            let (on, watts) = (layout.value(*on, row), layout.value(*watts, row));
            if on.is_none() && watts.is_none() {
                continue;
            }
            builder.field_builder::<StringBuilder>(0)?.append_value(name);
            builder.field_builder::<BooleanBuilder>(1)?.append_option(on.map(|on| on != 0.0));
            builder.field_builder::<Float32Builder>(2)?.append_option(watts.map(|watts| watts as f32));
            builder.append(true);
        }
        Some(())
    })
}

fn more(field: &FieldRef, rows: &[(&Layout<'_>, Row)]) -> ArrayRef {
    list(field, rows, |builder, layout, row| {
        let known = layout.shape.more.iter().filter_map(|place| {
            Some((layout.from.channels[*place].name.as_str(), layout.value(Some(*place), row)?))
        });
        let claimed = layout.from.stamps[row.record].wall_ms.filter(|_| row.wall_ms.is_none());
        let refused = claimed.map(|wall| (REFUSED_WALL, wall as f64));
        for (name, value) in known.chain(refused) {
            builder.field_builder::<StringBuilder>(0)?.append_value(name);
            builder.field_builder::<Float64Builder>(1)?.append_value(value);
            builder.append(true);
        }
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_channel_passes_for_an_identity_or_a_stamp() {
        let schema = lake::filed_telemetry();
        let filled: Vec<&str> = schema
            .fields()
            .iter()
            .filter(|field| is_filled_by_channel(field))
            .map(|field| field.name().as_str())
            .collect();
        assert!(OWN.iter().all(|own| !filled.contains(own)), "{filled:?}");
        // Who told the time, and the two lists.
        assert_eq!(filled.len(), schema.fields().len() - OWN.len() - 3, "{filled:?}");
    }
}
