// Shows the OpenAPI document of this server. Requests use the login of the browser, or only the token entered under
// Authorize.

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

/** The cookie that write requests repeat in a header. Read for each request, because a login changes it. */
const xsrf = () => document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1];

SwaggerUIBundle({
  dom_id: "#explorer",
  url: new URL("api/1/openapi.json", location.href).href,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayOperationId: true,
  displayRequestDuration: true,
  filter: true,
  tagsSorter: "alpha",
  tryItOutEnabled: true,
  requestSnippetsEnabled: false,
  requestInterceptor: (request) => {
    if (request.headers.Authorization) {
      request.credentials = "omit";
    } else if (new URL(request.url, location.href).origin === location.origin) {
      request.credentials = "same-origin";
      const token = xsrf();
      if (token) request.headers["X-XSRFToken"] = token;
    }
    return request;
  },
});
