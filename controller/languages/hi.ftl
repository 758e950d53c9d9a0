# What the hub says to a household, in Hindi.

## Why a load is as it is.
state-on = चालू
state-off = बंद
reason-on = { $name } चालू।
reason-returning = { $name } बंद, जल्द ही चालू होगा।
reason-always-on = { $name } हमेशा चालू: इसका रिले नहीं है।
reason-powers-hub = { $name } चालू रहता है: हब इसी से चलता है।
reason-asked-for = { $name } { $state }: किसी ने ऐसा माँगा है।
reason-surplus = { $name } { $state }: बैटरी भरी है और धूप अभी और दे रही है।
reason-held = { $name } { $state }: { $left } बची है, { $keep } चाहिए { $tier ->
    [critical] ताकि बैटरी सब कुछ बंद न कर दे
    [important] सबसे ज़रूरी उपकरणों के लिए
   *[other] सबसे ज़रूरी और ज़रूरी उपकरणों के लिए
}।
reason-held-until = { $name } { $state }, { $until } तक: { $left } बची है, { $keep } चाहिए { $tier ->
    [critical] ताकि बैटरी सब कुछ बंद न कर दे
    [important] सबसे ज़रूरी उपकरणों के लिए
   *[other] सबसे ज़रूरी और ज़रूरी उपकरणों के लिए
}।
reason-waiting = { $name } { $state }: लौटने से पहले { $span } और रुकेगा।
reason-low-voltage = { $name } { $state }: बैटरी { $read } पर है, { $limit } से ऊपर लौटेगा।
reason-low-charge = { $name } { $state }: बैटरी में { $left } बची है, { $limit } से ऊपर लौटेगा।
reason-hot = { $name } { $state }: बैटरी { $read } पर है, सीमा { $limit }।
reason-overload = { $name } { $state }: { $read } की खपत, { $limit } की अनुमति।
reason-not-full = { $name } { $state }: { $left } बची है, बैटरी के लिए { $keep } चाहिए, जो पिछली बार { $span } पहले भरी थी।

## What protection does.
alarm-battery-low = बैटरी कम है: केवल सबसे ज़रूरी उपकरणों को बिजली मिल रही है।
alarm-battery-empty = बैटरी लगभग खाली है: उसे बचाने के लिए सब कुछ बंद है।
alarm-battery-hot = बैटरी बहुत गरम है: केवल सबसे ज़रूरी उपकरणों को बिजली मिल रही है।
alarm-overload = उपकरणों ने बहुत अधिक बिजली ली: कुछ बंद कर दिए गए।

## What the battery needs.
need-full = बैटरी पिछली बार { $span } पहले भरी थी: जो रुक सकता है वह { $floor } से नीचे रोका जाता है जब तक वह फिर न भरे, क्योंकि इससे वह कम घिसती है।
need-takes-little = बैटरी { $read } पर है और अधिकतम { $takes } लेती है: योजना इससे अधिक पर भरोसा नहीं करती।
need-takes-nothing = बैटरी { $read } पर है और चार्ज नहीं लेती: योजना किसी चार्ज पर भरोसा नहीं करती।

## What keeping a load on costs.
cost = { $name } { $span } चालू रहने पर { $energy } लेगा (बैटरी का { $share }){ $reserve ->
    [touched] ; यह सबसे ज़रूरी उपकरणों के भंडार से आएगा।
   *[whole] ।
}
cost-critical = { $name } { $span } चालू रहने पर { $energy } लेगा (बैटरी का { $share }), जितना सबसे ज़रूरी उपकरण { $critical } में लेते हैं{ $reserve ->
    [touched] ; यह उनके भंडार से आएगा।
   *[whole] ।
}

## Time.
span-seconds = { $count } सेकंड
span-minutes = { $count } मिनट
span-hour = एक घंटा
span-hours = { $hours } घंटे
span-days = { $count ->
    [one] { $count } दिन
   *[other] { $count } दिन
}
moment-tomorrow = कल { $time }
moment-in-days = { $days } दिन बाद { $time }
monday = सोम
tuesday = मंगल
wednesday = बुध
thursday = गुरु
friday = शुक्र
saturday = शनि
sunday = रवि

## Lists of names.
list-two = { $one } और { $two }
list-three = { $one }, { $two } और { $three }
list-more = { $one }, { $two } और { $more } अन्य

## Will the lights last the night?
night-empty = बैटरी लगभग खाली है। उसे बचाने के लिए सब कुछ बंद है।
night-empty-detail = जब धूप उसे { $level } से ऊपर चार्ज कर देगी तब उपकरण लौटेंगे।
night-unknown = बैटरी में { $charge }। रात भर चलेगी या नहीं, अभी पता नहीं।
night-forecast-old = पूर्वानुमान बहुत पुराना है। तब तक उपकरण तय स्तरों पर चालू और बंद होते हैं।
night-time-unknown = समय पता नहीं है। तब तक उपकरण तय स्तरों पर चालू और बंद होते हैं।
night-no-forecast = अभी कोई पूर्वानुमान नहीं बना है। तब तक उपकरण तय स्तरों पर चालू और बंद होते हैं।
night-loads = उपकरण
night-good = हाँ: { $loads } – बिजली { $span ->
    [night] रात भर
   *[days] अगले दो दिन
} चलेगी।
night-watch = शायद: { $loads } – बिजली { $span ->
    [night] रात भर
   *[days] अगले दो दिन
} चलनी चाहिए।
night-bad = शायद नहीं: { $loads } – हो सकता है बिजली { $span ->
    [night] रात भर
   *[days] अगले दो दिन
} न चले।
night-back = धूप लौटने
night-back-at = लगभग { $moment } धूप लौटने
night-good-detail = बैटरी में { $charge }, और { $back } तक { $need } काफ़ी है, चाहे खपत अधिक हो और आकाश में बादल रहें।
night-watch-detail = बैटरी में { $charge }, शायद केवल { $low }; { $back } तक { $need } निश्चित ही काफ़ी होती, चाहे खपत अधिक हो और आकाश में बादल रहें।
night-bad-detail = बैटरी में { $charge }, और { $back } तक { $need } तक लग सकती है।
night-asked-for = लोगों ने जो चालू रखने को कहा है वह बैटरी का { $share } लेगा।
night-stuck = अभी पता नहीं: हब अटक गया है।
night-stuck-detail = { $span } पहले: { $headline }

## Battery, sun and use.
battery-and-sun = बैटरी और धूप
charged = चार्ज, { $bounds }
bounds-exact = ठीक-ठीक पता है
bounds-very-unsure = बहुत अनिश्चित: { $low } से { $high } के बीच कुछ भी
bounds-unsure = अनिश्चित: { $low } से { $high } के बीच
bounds-sure = निश्चित ही { $low } और { $high } के बीच
sun = धूप
use = खपत
battery = बैटरी
not-measured = मापा नहीं गया
from-panels = पैनल
use-estimated = अनुमानित
use-of-all = सभी उपकरण
flow-charging = चार्ज हो रही है
flow-supplying = बिजली दे रही है
flow-at-rest = विराम में
voltage-not-measured = वोल्टेज मापा नहीं गया
no-plan = कोई योजना नहीं: उपकरण तय स्तरों पर चालू और बंद होते हैं
time-unknown = समय अज्ञात

## Notes.
note-alarm = चेतावनी।
note-care = बैटरी की देखभाल।
note-fault = ख़राबी।
note-silent = { $device } जवाब नहीं दे रहा।
note-stuck = हब अटक गया है।
note-stuck-detail = उसने पिछली बार { $span } पहले बताया था। जो दिख रहा है वह तब का है और ग़लत हो सकता है।
note-no-time = समय पता नहीं है।
note-no-time-detail = पूर्वानुमान तब तक रुके हैं जब तक हब को समय पता न चले। उपकरण उसके बिना भी सुरक्षित चलते हैं।
note-lost = इस फ़ोन की घड़ी में { $time } से हब का जवाब नहीं आया। जो दिख रहा है वह तब का है।
note-late = आपका अनुरोध भेज दिया गया है, पर हब ने उसे अभी नहीं लिया है।

## Loads.
loads = उपकरण
tier-critical = सबसे ज़रूरी
tier-critical-meaning = अंत तक चालू
tier-important = ज़रूरी
tier-important-meaning = बंद, जब सबसे ज़रूरी को बची बिजली चाहिए
tier-convenience = सुविधा
tier-convenience-meaning = सबसे पहले धूप की राह देखता है
tier-background = पृष्ठभूमि
tier-background-meaning = हब का काम जो धूप की राह देखता है
load-on = चालू
load-off = बंद
draws-about = लगभग { $power }
draws-up-to = { $power } तक
relay-disobeys = इसका रिले कहे अनुसार नहीं चलता।
relay-unread = इसका रिले पढ़ा नहीं जा सकता।
kept-until = { $moment } तक चालू रखने को कहा गया, { $span } और।
kept-for = { $span } और चालू रखने को कहा गया।
release = छोड़ें
keep-on = एक घंटा चालू रखें
may-look = यहाँ आप केवल देख सकते हैं। किसी उपकरण को चालू रखने के लिए हब की सेटिंग में PIN होना चाहिए।

## A wish.
keep-title = { $name } एक घंटा चालू रखें?
keep-yes = हाँ, चालू रखें
release-title = { $name } छोड़ें?
release-yes = हाँ, छोड़ें
release-meaning = जब अधिक ज़रूरी उपकरणों को बची बिजली चाहिए तब हब इसे फिर बंद कर सकता है।
wish-no = नहीं, वापस
wish-pin = PIN
wish-energy = ऊर्जा
wish-share = बैटरी का हिस्सा
wish-critical = सबसे ज़रूरी उपकरण इस पर चल सकते हैं
wish-reserve = अधिक ज़रूरी उपकरणों का भंडार
wish-reserve-touched = घटेगा
wish-reserve-whole = पूरा रहेगा
wish-protection = सुरक्षा सक्रिय है। अंतिम निर्णय उसी का है: जब तक वह रहे, उपकरण बंद रहेगा या बंद होगा।
pin-wait = वह PIN स्वीकार नहीं हुआ। { $span } बाद फिर कोशिश करें।
pin-waits = ग़लत PIN के बाद: { $span } बाद फिर कोशिश करें।
pin-enter = PIN डालें।
pin-wrong = वह PIN ग़लत है।
pin-no-session = हब अभी सत्र नहीं खोल सकता। थोड़ी देर में फिर कोशिश करें।

## Refusals.
refused-which = कौन सा उपकरण?
refused-no-pin = कुछ नहीं बदला। यहाँ से उपकरण चालू रखने से पहले हब की सेटिंग में PIN होना चाहिए।
refused-starting = हब शुरू हो रहा है। थोड़ी देर में फिर कोशिश करें।
refused-no-load = ऐसा कोई उपकरण नहीं है।
refused-no-relay = इस उपकरण का रिले नहीं है: यह हमेशा चालू है।
refused-powers-hub = हब इसी उपकरण से चलता है: यह कभी बंद नहीं होता।
refused-wish = हब इस अनुरोध को नहीं समझा।
refused-busy = हब अभी अनुरोध नहीं ले रहा। कुछ नहीं बदला; थोड़ी देर में फिर कोशिश करें।
back = वापस
starting = शुरू हो रहा है
starting-title = हब शुरू हो रहा है।
starting-detail = जैसे ही वह अपने यंत्र देख लेगा, यह पृष्ठ दिखेगा।

## Charts.
next-days = अगले दो दिन
no-forecast = अभी कोई पूर्वानुमान नहीं है।
bands = दस में से नौ खंड पट्टी के ऊपरी किनारे से नीचे रहते हैं, दस में से एक निचले से नीचे। खपत का पूर्वानुमान: { $method }।
method-adaptive = प्रशिक्षित मॉडल और जो इस घर ने उसे सिखाया
worth-both = पिछले हफ़्तों में इसकी त्रुटियाँ कल को दोहराने की तुलना में { $load } थीं, और धूप के पूर्वानुमान की { $sun }।
worth-load = पिछले हफ़्तों में इसकी त्रुटियाँ कल को दोहराने की तुलना में { $load } थीं।
worth-sun = पिछले हफ़्तों में धूप के पूर्वानुमान की त्रुटियाँ कल को दोहराने की तुलना में { $sun } थीं।
worth-smaller = { $share } कम
worth-larger = { $share } अधिक
chart-not-drawn = यह चार्ट नहीं बन सका।
chart-lowest-about = सबसे कम { $charge }, लगभग { $moment }।
chart-lowest = सबसे कम { $charge }, { $moment }।
chart-highest = सबसे अधिक { $charge }, { $moment }।
chart-expected-charge = अगले दो दिनों में बैटरी का अपेक्षित चार्ज।
chart-expected-energy = अपेक्षित: धूप से { $sun }, खपत { $used }।
chart-expected-power = अगले दो दिनों की अपेक्षित धूप और खपत, हर एक पट्टी के साथ।
chart-past-charge = पिछले दो दिनों में बैटरी का चार्ज, अपनी सीमाओं के साथ।
chart-past-power = पिछले दो दिनों की धूप और खपत; अधिकतम { $power }।
key-expected = अपेक्षित
key-needed = सबसे ज़रूरी उपकरणों के लिए चाहिए
key-sun = धूप
key-use = खपत
key-charge = चार्ज, और वह कितना निश्चित है
sun-and-use = धूप और खपत
last-days = पिछले दो दिन
nothing-recorded = अभी कुछ दर्ज नहीं हुआ है।

## Devices.
devices = यंत्र
devices-none = कोई यंत्र सेट नहीं है।
devices-all = सभी { $count } यंत्र जवाब देते हैं।
devices-some = { $all } में से { $count } यंत्र जवाब देते हैं{ $unasked ->
    [0] ।
   *[other] , { $unasked } से अभी पूछा नहीं गया।
}
device-answers = जवाब देता है
device-silent = मौन
device-unasked = अभी पूछा नहीं गया
meter-counted = मीटर, अब तक गिना
lock = ताला लगाएँ: PIN फिर पूछें
counts = हब शुरू होने से: { $sheds } बार बंद, { $restores } बार वापस, प्रशिक्षित मॉडल के { $onnx } पूर्वानुमान, सरल विधि के { $baseline }।
