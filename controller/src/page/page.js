(function () {
  var d = document, body = d.body, seen = {}, since = null;
  function at(id) { return d.getElementById(id); }
  function show(parts) {
    for (var id in parts) {
      var place = at(id), html = parts[id], focus = d.activeElement;
      if (!place || seen[id] === html) continue;
      focus = focus && focus.id && place.contains(focus) ? focus.id : '';
      place.innerHTML = seen[id] = html;
      if (focus && at(focus)) at(focus).focus();
    }
  }
  function lost() {
    if (!since) since = new Date();
    var note = at('lost'), two = function (n) { return (n < 10 ? '0' : '') + n; };
    var text = note.getAttribute('data-say').replace('%', two(since.getHours()) + ':' + two(since.getMinutes()));
    if (note.textContent !== text) note.textContent = text;
    note.hidden = false;
  }
  function ask() {
    if (d.hidden) return again();
    var x = new XMLHttpRequest();
    x.open('GET', '/live?charts=' + encodeURIComponent(body.getAttribute('data-charts')));
    x.timeout = 8000;
    x.onload = function () {
      if (x.status !== 200) { lost(); return again(); }
      var now = JSON.parse(x.responseText);
      if (now.home !== body.getAttribute('data-home')) return location.reload();
      show(now.parts);
      body.setAttribute('data-charts', now.charts);
      since = null;
      at('lost').hidden = true;
      again();
    };
    x.onerror = x.ontimeout = function () { lost(); again(); };
    x.send();
  }
  function again() { setTimeout(ask, 3000); }
  again();
})();
