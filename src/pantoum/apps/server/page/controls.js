// The settings of the desk: what the controls show, and what a change of one does.

const $ = (id) => document.getElementById(id);
const SLIDERS = [["temperature", "temperature", 2], ["top-p", "topP", 2], ["length", "length", 0]];
const SWITCHES = ["auto", "suggest"];

// `model`: what the server says of it, or undefined while nothing is known.
export function show(settings, model) {
  for (const [id, name, digits] of SLIDERS) {
    $(id).value = settings[name];
    $(`${id}-value`).textContent = Number(settings[name]).toFixed(digits);
  }
  for (const id of SWITCHES) $(id).checked = settings[id];
  $(`paint-${settings.paint}`).checked = true;
  $("layer").value = settings.layer;
  $("unit").value = settings.unit;
  if (!model) return;
  $("model").value = model.id;
  $("layer").max = model.members * model.layers - 1; // the layers of one member after another
  $("unit").max = model.hidden_size - 1;
  $("facts").textContent = `${model.members > 1 ? `${model.members} members of ` : ""}${model.layers} × ${model.hidden_size} ${model.cell.toUpperCase()}, ${model.vocabulary.toLocaleString("en")} symbols (${model.tokens})`;
}

// `act`: {sampling(), kept(), paint(), unit(layer, unit)}, each called when the settings have changed.
export function listen(settings, act) {
  for (const [id, name] of SLIDERS)
    $(id).addEventListener("input", () => {
      settings()[name] = Number($(id).value);
      act.sampling();
    });
  for (const id of SWITCHES)
    $(id).addEventListener("change", () => {
      settings()[id] = $(id).checked;
      act.kept();
    });
  for (const radio of document.getElementsByName("paint"))
    radio.addEventListener("change", () => {
      settings().paint = radio.value;
      act.paint();
    });
  for (const name of ["layer", "unit"])
    $(name).addEventListener("change", () => {
      const value = Math.max(0, Math.min(Number($(name).max), Math.round(Number($(name).value)) || 0));
      act.unit(name === "layer" ? value : settings().layer, name === "unit" ? value : settings().unit);
    });
}
