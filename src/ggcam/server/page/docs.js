// Show the OpenAPI description of the service as a page.

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function facts(pairs) {
  return element("dl", "", ...pairs.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
}

function operation(path, method, described) {
  const parameters = (described.parameters ?? []).map(({ name, description }) => [name, description ?? ""]);
  const responses = Object.entries(described.responses).map(([status, { description }]) => [status, description]);
  const shown = element("article", "", element("h2", `${method.toUpperCase()} ${path}`));
  shown.append(element("p", `${described.summary ?? ""}. ${described.description ?? ""}`));
  if (described.requestBody) {
    shown.append(element("p", `Body: ${Object.keys(described.requestBody.content).join(", ")}, one or several files`));
  }
  if (parameters.length) shown.append(element("h3", "Parameters"), facts(parameters));
  shown.append(element("h3", "Responses"), facts(responses));
  return shown;
}

document.getElementById("example").textContent = `curl -F file=@chest.dcm ${location.origin}/predict`;
const description = await (await fetch("/openapi.json")).json();
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, described]) => operation(path, method, described))
);
document.getElementById("operations").replaceChildren(...operations);
