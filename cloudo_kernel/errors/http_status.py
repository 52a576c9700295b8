"""The HTTP status of each error: for REST, and for widgets that call `Api` without a server."""

from __future__ import annotations

from http import HTTPStatus

from cloudo_kernel import errors

#: The most specific class of an error decides.
OF_ERROR: dict[type[errors.CloudoError], HTTPStatus] = {
    errors.MalformedRequest: HTTPStatus.BAD_REQUEST,
    errors.NameInvalid: HTTPStatus.BAD_REQUEST,
    errors.PathInvalid: HTTPStatus.BAD_REQUEST,
    errors.PermissionDenied: HTTPStatus.FORBIDDEN,
    errors.ResourceNotFoundError: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.FlowBroken: HTTPStatus.CONFLICT,
    errors.StaleAttempt: HTTPStatus.CONFLICT,
    errors.DependencyFailedError: HTTPStatus.CONFLICT,
    errors.Outdated: HTTPStatus.PRECONDITION_FAILED,
    errors.BodyTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.InputsInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.FormInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ResponseInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotConfirmed: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AddressRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SettingInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SignatureInvalid: HTTPStatus.UNAUTHORIZED,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.ContentTypeRefused: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooManyCalls: HTTPStatus.TOO_MANY_REQUESTS,
    errors.WaitTimeout: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SecretLost: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: errors.CloudoError | type[errors.CloudoError]) -> HTTPStatus:
    """Return the status of the error's most specific class that has one."""
    for kind in (error if isinstance(error, type) else type(error)).__mro__:
        if kind in OF_ERROR:
            return OF_ERROR[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR
