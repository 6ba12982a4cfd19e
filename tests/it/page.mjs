// Runs the script of /ui on a document of its own, against a server, and prints what the page shows as text.
const base = process.argv[2];
const html = await (await fetch(base + "/ui")).text();
const script = html.split("<script>")[1].split("</script>")[0];

class Element {
  constructor(name) { Object.assign(this, { name, children: [], text: "", attributes: {} }); }
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; this.text = ""; }
  setAttribute(key, value) { this.attributes[key] = value; }
  set textContent(text) { this.text = text; this.children = []; }
  show() {
    const inner = this.text + this.children.map(child => child.show()).join("");
    const end = { td: "\t", th: "\t", tr: "\n", text: "\n", title: "\n", h1: "\n" }[this.name] || "";
    return (this.name === "path" ? this.attributes.class + " " : "") + inner + end;
  }
}
const known = {};
const document = {
  getElementById: id => known[id] ||= new Element(id),
  createElement: name => new Element(name),
  createElementNS: (_, name) => new Element(name),
};
const listeners = {};
class EventSource {
  addEventListener(kind, listener) { listeners[kind] = listener; }
}
const ask = path => fetch(base + "/" + path);
new Function("document", "EventSource", "fetch", "setInterval", "setTimeout", script)(document, EventSource, ask, () => {}, () => {});
const { events } = await (await ask("eventz?stream=0")).json();
for (const event of events) listeners[event.kind]({ data: JSON.stringify(event) });
while (!(known.map && known.map.children.length) && !(known.trouble && known.trouble.text)) await new Promise(setImmediate);
for (const [id, part] of Object.entries(known)) console.log("== " + id + "\n" + part.show());
