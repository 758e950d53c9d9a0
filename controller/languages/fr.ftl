# What the hub says to a household, in French. Load names have a gender nobody told the hub, so nothing agrees with them.

## Why a load is as it is.
state-on = en marche
state-off = à l'arrêt
reason-on = { $name } en marche.
reason-returning = { $name } à l'arrêt, reprend sous peu.
reason-always-on = { $name } toujours en marche : pas de relais.
reason-powers-hub = { $name } reste en marche : le boîtier en dépend.
reason-asked-for = { $name } { $state } : quelqu'un l'a demandé.
reason-surplus = { $name } { $state } : la batterie est pleine et le soleil donne encore.
reason-held = { $name } { $state } : il reste { $left }, il faut { $keep } { $tier ->
    [critical] pour que la batterie ne coupe pas tout
    [important] pour l'indispensable
   *[other] pour l'indispensable et l'important
}.
reason-held-until = { $name } { $state } jusqu'à { $until } : il reste { $left }, il faut { $keep } { $tier ->
    [critical] pour que la batterie ne coupe pas tout
    [important] pour l'indispensable
   *[other] pour l'indispensable et l'important
}.
reason-waiting = { $name } { $state } : attend encore { $span } avant de reprendre.
reason-low-voltage = { $name } { $state } : batterie à { $read }, reprend au-dessus de { $limit }.
reason-low-charge = { $name } { $state } : il reste { $left } dans la batterie, reprend au-dessus de { $limit }.
reason-hot = { $name } { $state } : batterie à { $read }, limite { $limit }.
reason-overload = { $name } { $state } : { $read } consommés, { $limit } permis.
reason-not-full = { $name } { $state } : il reste { $left }, il faut { $keep } pour la batterie, pleine pour la dernière fois il y a { $span }.

## What protection does.
alarm-battery-low = La batterie est faible : seul l'indispensable est alimenté.
alarm-battery-empty = La batterie est presque vide : tout est à l'arrêt pour l'épargner.
alarm-battery-hot = La batterie est trop chaude : seul l'indispensable est alimenté.
alarm-overload = La consommation était trop forte : certains appareils ont été coupés.

## What the battery needs.
need-full = La batterie était pleine pour la dernière fois il y a { $span } : ce qui peut attendre est retenu sous { $floor } jusqu'à ce qu'elle le soit de nouveau, car cela l'use moins.
need-takes-little = La batterie est à { $read } et prend { $takes } au plus : la prévision ne compte pas sur davantage.
need-takes-nothing = La batterie est à { $read } et ne se charge pas : la prévision ne compte sur aucune charge.

## What keeping a load on costs.
cost = { $name } en marche pendant { $span } prend { $energy } ({ $share } de la batterie){ $reserve ->
    [touched] {" "}; c'est pris sur la réserve de l'indispensable.
   *[whole] .
}
cost-critical = { $name } en marche pendant { $span } prend { $energy } ({ $share } de la batterie), autant que l'indispensable en { $critical }{ $reserve ->
    [touched] {" "}; c'est pris sur sa réserve.
   *[whole] .
}

## Time.
span-seconds = { $count } s
span-minutes = { $count } min
span-hour = une heure
span-hours = { $hours } h
span-days = { $count ->
    [one] un jour
   *[other] { $count } jours
}
moment-tomorrow = { $time } demain
moment-in-days = { $time } dans { $days } jours
monday = lun.
tuesday = mar.
wednesday = mer.
thursday = jeu.
friday = ven.
saturday = sam.
sunday = dim.

## Lists of names.
list-two = { $one } et { $two }
list-three = { $one }, { $two } et { $three }
list-more = { $one }, { $two } et { $more } autres

## Will the lights last the night?
night-empty = La batterie est presque vide. Tout est à l'arrêt pour l'épargner.
night-empty-detail = Les appareils reprennent quand le soleil l'aura chargée au-dessus de { $level }.
night-unknown = { $charge } dans la batterie. On ne sait pas encore si cela suffit pour la nuit.
night-forecast-old = La prévision est trop ancienne. D'ici là, les appareils sont commandés à des niveaux fixes.
night-time-unknown = L'heure n'est pas connue. D'ici là, les appareils sont commandés à des niveaux fixes.
night-no-forecast = Il n'y a pas encore de prévision. D'ici là, les appareils sont commandés à des niveaux fixes.
night-loads = Les appareils
night-good = Oui : { $loads } – cela suffira pour { $span ->
    [night] la nuit
   *[days] les deux prochains jours
}.
night-watch = Sans doute : { $loads } – cela devrait suffire pour { $span ->
    [night] la nuit
   *[days] les deux prochains jours
}.
night-bad = Peut-être pas : { $loads } – cela risque de ne pas suffire pour { $span ->
    [night] la nuit
   *[days] les deux prochains jours
}.
night-back = le retour du soleil
night-back-at = le retour du soleil vers { $moment }
night-good-detail = { $charge } dans la batterie, et { $need } suffisent jusque-là : { $back }, même si l'on consomme beaucoup et que le ciel reste sombre.
night-watch-detail = { $charge } dans la batterie, peut-être seulement { $low } ; { $need } suffiraient sûrement jusque-là : { $back }, même si l'on consomme beaucoup et que le ciel reste sombre.
night-bad-detail = { $charge } dans la batterie, et il en faut jusqu'à { $need } jusque-là : { $back }.
night-asked-for = Ce que des personnes ont demandé prend { $share } de la batterie.
night-stuck = On ne sait pas : le boîtier est bloqué.
night-stuck-detail = Il y a { $span } : { $headline }

## Battery, sun and use.
battery-and-sun = Batterie et soleil
charged = de charge, { $bounds }
bounds-exact = valeur exacte
bounds-very-unsure = très incertain : entre { $low } et { $high }
bounds-unsure = incertain : entre { $low } et { $high }
bounds-sure = sûrement entre { $low } et { $high }
sun = Soleil
use = Consommation
battery = Batterie
not-measured = non mesuré
from-panels = panneaux
use-estimated = estimation
use-of-all = tous les appareils
flow-charging = se charge
flow-supplying = alimente
flow-at-rest = au repos
voltage-not-measured = Tension non mesurée
no-plan = pas de plan : commande à des niveaux fixes
time-unknown = heure inconnue

## Notes.
note-alarm = Alarme.
note-care = Soin de la batterie.
note-fault = Défaut.
note-silent = { $device } ne répond pas.
note-stuck = Le boîtier est bloqué.
note-stuck-detail = Dernières nouvelles il y a { $span }. Ce que vous voyez date de ce moment et peut être faux.
note-no-time = L'heure n'est pas connue.
note-no-time-detail = Les prévisions attendent que le boîtier l'apprenne. Les appareils sont commandés sûrement sans elle.
note-lost = Pas de réponse du boîtier depuis { $time } à l'heure de ce téléphone. Ce que vous voyez date de ce moment.
note-late = Votre demande a été transmise, mais le boîtier ne l'a pas encore prise en compte.

## Loads.
loads = Appareils
tier-critical = Indispensable
tier-critical-meaning = gardé jusqu'au bout
tier-important = Important
tier-important-meaning = coupé quand l'indispensable a besoin du reste
tier-convenience = Confort
tier-convenience-meaning = attend le soleil en premier
tier-background = En arrière-plan
tier-background-meaning = travail du boîtier qui attend le soleil
load-on = Marche
load-off = Arrêt
draws-about = environ { $power }
draws-up-to = jusqu'à { $power }
relay-disobeys = Son relais n'obéit pas.
relay-unread = Son relais ne peut pas être relu.
kept-until = À garder en marche jusqu'à { $moment }, encore { $span }.
kept-for = À garder en marche encore { $span }.
release = Libérer
keep-on = Garder une heure
may-look = Ici on peut seulement regarder. Pour demander qu'un appareil reste en marche, il faut un code PIN dans la configuration du boîtier.

## A wish.
keep-title = Garder { $name } en marche une heure ?
keep-yes = Oui, garder
release-title = Libérer { $name } ?
release-yes = Oui, libérer
release-meaning = Le boîtier pourra de nouveau couper cet appareil quand de plus vitaux auront besoin du reste.
wish-no = Non, retour
wish-pin = Code PIN
wish-energy = Énergie
wish-share = De la batterie
wish-critical = L'indispensable en vivrait pendant
wish-reserve = Réserve des appareils plus vitaux
wish-reserve-touched = entamée
wish-reserve-whole = intacte
wish-protection = La protection est active. Elle a le dernier mot : l'appareil reste ou passe à l'arrêt tant qu'elle dure.
pin-wait = Ce code n'a pas été accepté. Réessayez dans { $span }.
pin-waits = Après des codes faux : réessayez dans { $span }.
pin-enter = Entrez le code PIN.
pin-wrong = Ce code est faux.
pin-no-session = Le boîtier ne peut pas ouvrir de session maintenant. Réessayez dans un instant.

## Refusals.
refused-which = Quel appareil ?
refused-no-pin = Rien n'a été changé. Il faut un code PIN dans la configuration du boîtier avant de pouvoir garder des appareils en marche d'ici.
refused-starting = Le boîtier démarre. Réessayez dans un instant.
refused-no-load = Cet appareil n'existe pas.
refused-no-relay = Cet appareil n'a pas de relais : il est toujours en marche.
refused-powers-hub = Le boîtier dépend de cet appareil : il n'est jamais coupé.
refused-wish = Le boîtier ne comprend pas cette demande.
refused-busy = Le boîtier ne prend pas de demandes maintenant. Rien n'a été changé ; réessayez dans un instant.
back = Retour
starting = Démarrage
starting-title = Le boîtier démarre.
starting-detail = Cette page apparaît dès qu'il a consulté ses appareils.

## Charts.
next-days = Les deux prochains jours
no-forecast = Il n'y a pas encore de prévision.
bands = Neuf créneaux sur dix sont sous le haut d'une bande, un sur dix sous son bas. La consommation est prévue par { $method }.
method-adaptive = le modèle entraîné et ce que cette maison lui a appris
worth-both = Ces dernières semaines ses erreurs étaient { $load } que celles d'une répétition de la veille, et celles de la prévision du soleil { $sun }.
worth-load = Ces dernières semaines ses erreurs étaient { $load } que celles d'une répétition de la veille.
worth-sun = Ces dernières semaines les erreurs de la prévision du soleil étaient { $sun } que celles d'une répétition de la veille.
worth-smaller = plus petites de { $share }
worth-larger = plus grandes de { $share }
chart-not-drawn = Ce graphique n'a pas pu être dessiné.
chart-lowest-about = Au plus bas { $charge } vers { $moment }.
chart-lowest = Au plus bas { $charge }, { $moment }.
chart-highest = Au plus haut { $charge }, { $moment }.
chart-expected-charge = Charge attendue de la batterie dans les deux prochains jours.
chart-expected-energy = Prévu : { $sun } du soleil, { $used } consommés.
chart-expected-power = Soleil et consommation attendus dans les deux prochains jours, chacun avec une bande.
chart-past-charge = Charge de la batterie dans les deux derniers jours, avec ses bornes.
chart-past-power = Soleil et consommation dans les deux derniers jours ; au plus { $power }.
key-expected = attendue
key-needed = nécessaire à l'indispensable
key-sun = soleil
key-use = consommation
key-charge = charge, et sa certitude
sun-and-use = Soleil et consommation
last-days = Les deux derniers jours
nothing-recorded = Rien n'a encore été enregistré.

## Devices.
devices = Équipements
devices-none = Aucun équipement n'est configuré.
devices-all = Équipements qui répondent : tous, { $count }.
devices-some = Équipements qui répondent : { $count } sur { $all }{ $unasked ->
    [0] .
   *[other] , dont { $unasked } pas encore interrogés.
}
device-answers = répond
device-silent = muet
device-unasked = pas encore interrogé
meter-counted = compteur, compté jusqu'ici
lock = Verrouiller : redemander le code PIN
counts = Depuis le démarrage du boîtier : { $sheds } délestages, { $restores } reprises, { $onnx } prévisions du modèle entraîné, { $baseline } d'une méthode plus simple.
