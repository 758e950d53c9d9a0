# What the hub says to a household, in English. Figures come with their units; names of loads are the household's own.

## Why a load is as it is. Each begins with its name, under which the page leaves it out.
state-on = on
state-off = off
reason-on = { $name } on.
reason-returning = { $name } off, about to return.
reason-always-on = { $name } is always on: it has no relay.
reason-powers-hub = { $name } stays on: the hub lives from it.
reason-asked-for = { $name } { $state }: somebody asked for it.
reason-surplus = { $name } { $state }: the battery is full and the sun brings more.
reason-held = { $name } { $state }: { $left } left, { $keep } needed { $tier ->
    [critical] to keep the battery from cutting everything off
    [important] for the critical loads
   *[other] for the critical and important loads
}.
reason-held-until = { $name } { $state } until { $until }: { $left } left, { $keep } needed { $tier ->
    [critical] to keep the battery from cutting everything off
    [important] for the critical loads
   *[other] for the critical and important loads
}.
reason-waiting = { $name } { $state }: waits { $span } more before it returns.
reason-low-voltage = { $name } { $state }: battery at { $read }, returns above { $limit }.
reason-low-charge = { $name } { $state }: { $left } left in the battery, returns above { $limit }.
reason-hot = { $name } { $state }: battery at { $read }, limit { $limit }.
reason-overload = { $name } { $state }: { $read } drawn, { $limit } allowed.
reason-not-full = { $name } { $state }: { $left } left, { $keep } needed for the battery, which was last full { $span } ago.

## What protection does.
alarm-battery-low = The battery is low: only critical loads are supplied.
alarm-battery-empty = The battery is nearly empty: all loads are off to save it.
alarm-battery-hot = The battery is too hot: only critical loads are supplied.
alarm-overload = The loads drew too much: some were switched off.

## What the battery needs.
need-full = The battery was last full { $span } ago: what can wait is held back below { $floor } until it is full again, for that wears it less.
need-takes-little = The battery is at { $read } and takes { $takes } at most: the plan counts on no more.
need-takes-nothing = The battery is at { $read } and takes no charge: the plan counts on no more.

## What keeping a load on costs.
cost = { $name } on for { $span } takes { $energy } ({ $share } of the battery){ $reserve ->
    [touched] ; it comes out of their reserve.
   *[whole] .
}
cost-critical = { $name } on for { $span } takes { $energy } ({ $share } of the battery), as much as the critical loads use in { $critical }{ $reserve ->
    [touched] ; it comes out of their reserve.
   *[whole] .
}

## Time.
span-seconds = { $count } s
span-minutes = { $count } min
span-hour = an hour
span-hours = { $hours } h
span-days = { $count ->
    [one] a day
   *[other] { $count } days
}
moment-tomorrow = { $time } tomorrow
moment-in-days = { $time } in { $days } days
monday = Mon
tuesday = Tue
wednesday = Wed
thursday = Thu
friday = Fri
saturday = Sat
sunday = Sun

## Lists of names.
list-two = { $one } and { $two }
list-three = { $one }, { $two } and { $three }
list-more = { $one }, { $two } and { $more } more

## Will the lights last the night?
night-empty = The battery is nearly empty. Everything is off to save it.
night-empty-detail = Loads return when the sun has charged it above { $level }.
night-unknown = { $charge } in the battery. Whether it lasts the night is not known yet.
night-forecast-old = The forecast is too old. Until then loads are switched at fixed levels.
night-time-unknown = The time of day is not known. Until then loads are switched at fixed levels.
night-no-forecast = No forecast has been made yet. Until then loads are switched at fixed levels.
night-loads = The loads
night-good = Yes: { $loads } will last { $span ->
    [night] the night
   *[days] the next two days
}.
night-watch = Probably: { $loads } should last { $span ->
    [night] the night
   *[days] the next two days
}.
night-bad = Perhaps not: { $loads } may not last { $span ->
    [night] the night
   *[days] the next two days
}.
night-back = the sun returns
night-back-at = the sun returns about { $moment }
night-good-detail = { $charge } in the battery, and { $need } is enough until { $back }, even if much is used and the sky stays dark.
night-watch-detail = { $charge } in the battery, perhaps only { $low }; { $need } would surely be enough until { $back }, even if much is used and the sky stays dark.
night-bad-detail = { $charge } in the battery, and it takes up to { $need } until { $back }.
night-asked-for = What persons asked to stay on takes { $share } of the battery.
night-stuck = Not known now: the hub is stuck.
night-stuck-detail = { $span } ago: { $headline }

## Battery, sun and use.
battery-and-sun = Battery and sun
charged = charged, { $bounds }
bounds-exact = known exactly
bounds-very-unsure = very unsure: anything from { $low } to { $high }
bounds-unsure = unsure: somewhere from { $low } to { $high }
bounds-sure = sure to lie between { $low } and { $high }
sun = Sun
use = Use
battery = Battery
not-measured = not measured
from-panels = panels
use-estimated = estimated
use-of-all = all loads
flow-charging = charging
flow-supplying = supplying
flow-at-rest = at rest
voltage-not-measured = Voltage not measured
no-plan = no plan: tiers are switched at fixed levels
time-unknown = time unknown

## Notes.
note-alarm = Alarm.
note-care = Battery care.
note-fault = Fault.
note-silent = { $device } does not answer.
note-stuck = The hub is stuck.
note-stuck-detail = It last reported { $span } ago. What you see is from then, and may be wrong.
note-no-time = The time of day is not known.
note-no-time-detail = Forecasts wait until the hub learns it. Loads are switched safely without it.
note-lost = No answer from the hub since { $time } by this phone. What you see is from then.
note-late = Your wish was passed on, but the hub has not taken it up yet.

## Loads.
loads = Loads
tier-critical = Critical
tier-critical-meaning = kept on to the last
tier-important = Important
tier-important-meaning = off when the critical loads need what is left
tier-convenience = Convenience
tier-convenience-meaning = waits for the sun first
tier-background = Background
tier-background-meaning = work of the hub that waits for the sun
load-on = On
load-off = Off
draws-about = about { $power }
draws-up-to = up to { $power }
relay-disobeys = Its relay does not do as it is told.
relay-unread = Its relay cannot be read back.
kept-until = Asked to stay on until { $moment }, { $span } more.
kept-for = Asked to stay on for { $span } more.
release = Release
keep-on = Keep on for an hour
may-look = Here you can only look. To ask for a load to stay on, a PIN must be set in the hub's configuration.

## A wish.
keep-title = Keep { $name } on for an hour?
keep-yes = Yes, keep it on
release-title = Release { $name }?
release-yes = Yes, release it
release-meaning = The hub may switch it off again when the more vital loads need what is left.
wish-no = No, back
wish-pin = PIN
wish-energy = Energy
wish-share = Of the battery
wish-critical = Critical loads could live on it for
wish-reserve = Reserve of the more vital loads
wish-reserve-touched = is touched
wish-reserve-whole = stays whole
wish-protection = Protection is active. It has the last word: the load stays off, or goes off, while it lasts.
pin-wait = That PIN was not accepted. Try again in { $span }.
pin-waits = After wrong PINs: try again in { $span }.
pin-enter = Enter the PIN.
pin-wrong = That PIN is wrong.
pin-no-session = The hub cannot make a session now. Try again in a moment.

## Refusals.
refused-which = Which load?
refused-no-pin = Nothing was changed. A PIN must be set in the hub's configuration before loads can be kept on from here.
refused-starting = The hub is starting. Try again in a moment.
refused-no-load = There is no such load.
refused-no-relay = This load has no relay: it is always on.
refused-powers-hub = The hub lives from this load: it is never switched off.
refused-wish = This was not a wish the hub understands.
refused-busy = The hub does not take wishes now. Nothing was changed; try again in a moment.
back = Back
starting = Starting
starting-title = The hub is starting.
starting-detail = This page shows itself as soon as it has looked at its devices.

## Charts.
next-days = Next two days
no-forecast = There is no forecast yet.
bands = Nine in ten slots fall below the top of a band, one in ten below its bottom. Use is forecast by { $method }.
method-adaptive = the trained model and what this home has taught it
worth-both = Over the last weeks its errors were { $load } than those of repeating yesterday, and those of the sun's forecast { $sun }.
worth-load = Over the last weeks its errors were { $load } than those of repeating yesterday.
worth-sun = Over the last weeks the errors of the sun's forecast were { $sun } than those of repeating yesterday.
worth-smaller = { $share } smaller
worth-larger = { $share } larger
chart-not-drawn = This chart could not be drawn.
chart-lowest-about = Lowest { $charge } about { $moment }.
chart-lowest = Lowest { $charge } on { $moment }.
chart-highest = Highest { $charge } on { $moment }.
chart-expected-charge = Expected charge of the battery in the next two days.
chart-expected-energy = Expected: { $sun } from the sun, { $used } used.
chart-expected-power = Expected sun and use in the next two days, each with a band.
chart-past-charge = Charge of the battery in the last two days, with its bounds.
chart-past-power = Sun and use in the last two days; at most { $power }.
key-expected = expected
key-needed = needed for the critical loads
key-sun = sun
key-use = use
key-charge = charge, and how sure it is
sun-and-use = Sun and use
last-days = Last two days
nothing-recorded = Nothing has been recorded yet.

## Devices.
devices = Devices
devices-none = No device is configured.
devices-all = All { $count } devices answer.
devices-some = { $count } of { $all } devices answer{ $unasked ->
    [0] .
   *[other] , { $unasked } not asked yet.
}
device-answers = answers
device-silent = silent
device-unasked = not asked yet
meter-counted = meter, counted so far
lock = Lock: ask for the PIN again
counts = Since the hub was started: { $sheds } loads shed, { $restores } returned, { $onnx } forecasts by the trained model, { $baseline } by a simpler method.
