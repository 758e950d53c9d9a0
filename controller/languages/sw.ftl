# What the hub says to a household, in Swahili.

## Why a load is as it is.
state-on = imewashwa
state-off = imezimwa
reason-on = { $name } imewashwa.
reason-returning = { $name } imezimwa, itawashwa hivi karibuni.
reason-always-on = { $name } imewashwa daima: haina swichi ya kifaa hiki.
reason-powers-hub = { $name } inabaki imewashwa: kifaa hiki kinaitegemea.
reason-asked-for = { $name } { $state }: mtu ameomba hivyo.
reason-surplus = { $name } { $state }: betri imejaa na jua bado linaleta zaidi.
reason-held = { $name } { $state }: imebaki { $left }, inahitajika { $keep } { $tier ->
    [critical] ili betri isizime vyote
    [important] kwa vifaa vya lazima
   *[other] kwa vifaa vya lazima na muhimu
}.
reason-held-until = { $name } { $state } hadi { $until }: imebaki { $left }, inahitajika { $keep } { $tier ->
    [critical] ili betri isizime vyote
    [important] kwa vifaa vya lazima
   *[other] kwa vifaa vya lazima na muhimu
}.
reason-waiting = { $name } { $state }: inasubiri { $span } zaidi kabla ya kuwashwa.
reason-low-voltage = { $name } { $state }: betri iko { $read }, itawashwa ikizidi { $limit }.
reason-low-charge = { $name } { $state }: betri imebaki { $left }, itawashwa ikizidi { $limit }.
reason-hot = { $name } { $state }: joto la betri ni { $read }, mwisho ni { $limit }.
reason-overload = { $name } { $state }: { $read } zimetumika, mwisho ni { $limit }.
reason-not-full = { $name } { $state }: imebaki { $left }, inahitajika { $keep } kwa ajili ya betri, ambayo mara ya mwisho ilijaa { $span } zilizopita.

## What protection does.
alarm-battery-low = Betri iko chini: vifaa vya lazima tu ndivyo vinapata umeme.
alarm-battery-empty = Betri inakaribia kuisha: vyote vimezimwa ili kuilinda.
alarm-battery-hot = Betri ina joto kupita kiasi: vifaa vya lazima tu ndivyo vinapata umeme.
alarm-overload = Vifaa vilitumia umeme mwingi mno: vingine vimezimwa.

## What the battery needs.
need-full = Betri ilijaa mara ya mwisho { $span } zilizopita: vinavyoweza kusubiri vinazuiwa chini ya { $floor } hadi ijae tena, kwani hivyo inachakaa kidogo.
need-takes-little = Betri iko { $read } na inapokea { $takes } tu: mpango hautegemei zaidi ya hapo.
need-takes-nothing = Betri iko { $read } na haipokei chaji: mpango hautegemei chaji yoyote.

## What keeping a load on costs.
cost = { $name } ikiwashwa kwa { $span } itatumia { $energy } ({ $share } ya betri){ $reserve ->
    [touched] ; itatoka kwenye akiba ya vifaa vya lazima.
   *[whole] .
}
cost-critical = { $name } ikiwashwa kwa { $span } itatumia { $energy } ({ $share } ya betri), sawa na matumizi ya vifaa vya lazima kwa { $critical }{ $reserve ->
    [touched] ; itatoka kwenye akiba yao.
   *[whole] .
}

## Time.
span-seconds = sekunde { $count }
span-minutes = dakika { $count }
span-hour = saa moja
span-hours = saa { $hours }
span-days = { $count ->
    [one] siku moja
   *[other] siku { $count }
}
moment-tomorrow = { $time } kesho
moment-in-days = { $time } baada ya siku { $days }
monday = Jtt
tuesday = Jnn
wednesday = Jtn
thursday = Alh
friday = Iju
saturday = Jms
sunday = Jpl

## Lists of names.
list-two = { $one } na { $two }
list-three = { $one }, { $two } na { $three }
list-more = { $one }, { $two } na { $more } zaidi

## Will the lights last the night?
night-empty = Betri inakaribia kuisha. Vyote vimezimwa ili kuilinda.
night-empty-detail = Vifaa vitawashwa jua litakapoichaji kuzidi { $level }.
night-unknown = { $charge } kwenye betri. Bado haijulikani kama itatosha usiku.
night-forecast-old = Utabiri umepitwa na wakati. Hadi upatikane, vifaa vinawashwa na kuzimwa kwa viwango maalumu.
night-time-unknown = Saa haijulikani. Hadi ijulikane, vifaa vinawashwa na kuzimwa kwa viwango maalumu.
night-no-forecast = Bado hakuna utabiri. Hadi upatikane, vifaa vinawashwa na kuzimwa kwa viwango maalumu.
night-loads = Vifaa
night-good = Ndiyo: { $loads } – umeme utatosha { $span ->
    [night] usiku wote
   *[days] siku mbili zijazo
}.
night-watch = Huenda: { $loads } – umeme unapaswa kutosha { $span ->
    [night] usiku wote
   *[days] siku mbili zijazo
}.
night-bad = Labda hapana: { $loads } – umeme huenda usitoshe { $span ->
    [night] usiku wote
   *[days] siku mbili zijazo
}.
night-back = jua litakaporudi
night-back-at = jua litakaporudi karibu { $moment }
night-good-detail = { $charge } kwenye betri, na { $need } inatosha hadi { $back }, hata matumizi yakiwa makubwa na anga ikibaki na mawingu.
night-watch-detail = { $charge } kwenye betri, labda { $low } tu; { $need } ingetosha kwa hakika hadi { $back }, hata matumizi yakiwa makubwa na anga ikibaki na mawingu.
night-bad-detail = { $charge } kwenye betri, na inahitajika hadi { $need } mpaka { $back }.
night-asked-for = Vilivyoombwa na watu kubaki vimewashwa vitatumia { $share } ya betri.
night-stuck = Haijulikani sasa: kifaa hiki kimekwama.
night-stuck-detail = { $span } zilizopita: { $headline }

## Battery, sun and use.
battery-and-sun = Betri na jua
charged = ya chaji, { $bounds }
bounds-exact = kiasi kamili
bounds-very-unsure = haijulikani vizuri kabisa: kati ya { $low } na { $high }
bounds-unsure = haijulikani vizuri: kati ya { $low } na { $high }
bounds-sure = kwa hakika kati ya { $low } na { $high }
sun = Jua
use = Matumizi
battery = Betri
not-measured = haijapimwa
from-panels = paneli
use-estimated = makadirio
use-of-all = vifaa vyote
flow-charging = inachajiwa
flow-supplying = inatoa umeme
flow-at-rest = imetulia
voltage-not-measured = Volti haijapimwa
no-plan = hakuna mpango: vifaa vinawashwa na kuzimwa kwa viwango maalumu
time-unknown = saa haijulikani

## Notes.
note-alarm = Tahadhari.
note-care = Utunzaji wa betri.
note-fault = Hitilafu.
note-silent = { $device } haijibu.
note-stuck = Kifaa hiki kimekwama.
note-stuck-detail = Kiliripoti mara ya mwisho { $span } zilizopita. Unachoona ni cha wakati huo, na huenda si sahihi.
note-no-time = Saa haijulikani.
note-no-time-detail = Utabiri unasubiri hadi saa ijulikane. Vifaa vinawashwa na kuzimwa kwa usalama bila hiyo.
note-lost = Kifaa hiki hakijajibu tangu { $time } kwa saa ya simu hii. Unachoona ni cha wakati huo.
note-late = Ombi lako limepelekwa, lakini kifaa hiki bado hakijalichukua.

## Loads.
loads = Vifaa vya umeme
tier-critical = Lazima
tier-critical-meaning = vinabaki vimewashwa hadi mwisho
tier-important = Muhimu
tier-important-meaning = vinazimwa vya lazima vikihitaji kilichobaki
tier-convenience = Starehe
tier-convenience-meaning = vinasubiri jua kwanza
tier-background = Chinichini
tier-background-meaning = kazi za kifaa hiki zinazosubiri jua
load-on = Imewashwa
load-off = Imezimwa
draws-about = karibu { $power }
draws-up-to = hadi { $power }
relay-disobeys = Swichi yake haifanyi inavyoambiwa.
relay-unread = Swichi yake haiwezi kusomwa.
kept-until = Imeombwa kubaki imewashwa hadi { $moment }, { $span } zaidi.
kept-for = Imeombwa kubaki imewashwa kwa { $span } zaidi.
release = Achilia
keep-on = Iwashwe kwa saa moja
may-look = Hapa unaweza kutazama tu. Ili kuomba kifaa kibaki kimewashwa, lazima PIN iwekwe kwenye mipangilio ya kifaa hiki.

## A wish.
keep-title = Je, { $name } ibaki imewashwa kwa saa moja?
keep-yes = Ndiyo, ibaki
release-title = Je, kuachilia { $name }?
release-yes = Ndiyo, achilia
release-meaning = Inaweza kuzimwa tena vifaa vya lazima zaidi vikihitaji kilichobaki.
wish-no = Hapana, rudi
wish-pin = PIN
wish-energy = Nishati
wish-share = Ya betri
wish-critical = Vifaa vya lazima vingeitumia kwa
wish-reserve = Akiba ya vifaa vya lazima zaidi
wish-reserve-touched = inaguswa
wish-reserve-whole = haiguswi
wish-protection = Ulinzi unafanya kazi. Ndio wenye uamuzi wa mwisho: kifaa kinabaki kimezimwa, au kinazimwa, unapoendelea.
pin-wait = PIN hiyo haikukubaliwa. Jaribu tena baada ya { $span }.
pin-waits = Baada ya PIN zisizo sahihi: jaribu tena baada ya { $span }.
pin-enter = Weka PIN.
pin-wrong = PIN hiyo si sahihi.
pin-no-session = Kifaa hiki hakiwezi kukutambua sasa. Jaribu tena baada ya muda mfupi.

## Refusals.
refused-which = Kifaa gani?
refused-no-pin = Hakuna kilichobadilishwa. Lazima PIN iwekwe kwenye mipangilio ya kifaa hiki kabla ya kuomba vifaa vibaki vimewashwa kutoka hapa.
refused-starting = Kifaa hiki kinaanza. Jaribu tena baada ya muda mfupi.
refused-no-load = Hakuna kifaa kama hicho.
refused-no-relay = Kifaa hiki hakina swichi: kimewashwa daima.
refused-powers-hub = Mfumo huu unategemea kifaa hiki: hakizimwi kamwe.
refused-wish = Ombi hili halikueleweka.
refused-busy = Maombi hayapokelewi sasa. Hakuna kilichobadilishwa; jaribu tena baada ya muda mfupi.
back = Rudi
starting = Inaanza
starting-title = Kifaa hiki kinaanza.
starting-detail = Ukurasa huu utaonekana mara kitakapomaliza kuangalia vifaa vyake.

## Charts.
next-days = Siku mbili zijazo
no-forecast = Bado hakuna utabiri.
bands = Vipindi tisa kati ya kumi viko chini ya juu ya utepe, kimoja kati ya kumi chini ya chini yake. Matumizi yametabiriwa na { $method }.
method-adaptive = modeli iliyofunzwa na yale nyumba hii imeifundisha
worth-both = Wiki zilizopita makosa yake yalikuwa { $load } kuliko kurudia ya jana, na ya utabiri wa jua { $sun }.
worth-load = Wiki zilizopita makosa yake yalikuwa { $load } kuliko kurudia ya jana.
worth-sun = Wiki zilizopita makosa ya utabiri wa jua yalikuwa { $sun } kuliko kurudia ya jana.
worth-smaller = madogo kwa { $share }
worth-larger = makubwa kwa { $share }
chart-not-drawn = Chati hii haikuweza kuchorwa.
chart-lowest-about = Chini kabisa { $charge } karibu { $moment }.
chart-lowest = Chini kabisa { $charge }, { $moment }.
chart-highest = Juu kabisa { $charge }, { $moment }.
chart-expected-charge = Chaji ya betri inayotarajiwa siku mbili zijazo.
chart-expected-energy = Inatarajiwa: { $sun } kutoka kwa jua, { $used } zitatumika.
chart-expected-power = Jua na matumizi yanayotarajiwa siku mbili zijazo, kila moja na utepe wake.
chart-past-charge = Chaji ya betri siku mbili zilizopita, pamoja na mipaka yake.
chart-past-power = Jua na matumizi siku mbili zilizopita; zaidi kabisa { $power }.
key-expected = inayotarajiwa
key-needed = inahitajika kwa vifaa vya lazima
key-sun = jua
key-use = matumizi
key-charge = chaji, na uhakika wake
sun-and-use = Jua na matumizi
last-days = Siku mbili zilizopita
nothing-recorded = Bado hakuna kilichorekodiwa.

## Devices.
devices = Vipimo na swichi
devices-none = Hakuna kilichosanidiwa.
devices-all = Vyote { $count } vinajibu.
devices-some = { $count } kati ya { $all } vinajibu{ $unasked ->
    [0] .
   *[other] , { $unasked } bado havijaulizwa.
}
device-answers = inajibu
device-silent = kimya
device-unasked = bado haijaulizwa
meter-counted = mita, hadi sasa imehesabu
lock = Funga: uliza PIN tena
counts = Tangu kifaa hiki kiwashwe: mara { $sheds } za kuzima, { $restores } za kuwasha tena, tabiri { $onnx } za modeli iliyofunzwa, { $baseline } za njia rahisi zaidi.
