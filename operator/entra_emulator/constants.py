"""Identifiers that are fixed: the seeded tenant and its principals, and Microsoft's own.

Ids of Microsoft Graph and its permissions are the public ones ("Microsoft Graph permissions
reference"); ids of the tenant, its users and its tools are the emulator's choice.
"""

from __future__ import annotations

from typing import Final

TENANT_ID: Final = "11111111-1111-1111-1111-111111111111"
INITIAL_DOMAIN: Final = "clinic.onmicrosoft.com"
VERIFIED_DOMAINS: Final = ("clinic.example", "example.com", INITIAL_DOMAIN)

LOGIN_HOSTS: Final = ("login.microsoftonline.com", "login.microsoft.com")
GRAPH_HOST: Final = "graph.microsoft.com"
MANAGEMENT_HOST: Final = "management.azure.com"
STOCK_HOSTS: Final = (*LOGIN_HOSTS, GRAPH_HOST, MANAGEMENT_HOST)
"""The real service's names that this one answers to when a proxy leads clients here."""

OPERATOR_CLIENT_ID: Final = "22222222-2222-2222-2222-222222222222"
ADMIN_CLIENT_ID: Final = "33333333-3333-3333-3333-333333333333"

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
GRAPH_URL: Final = f"https://{GRAPH_HOST}"
MANAGEMENT_APP_ID: Final = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
MANAGEMENT_URLS: Final = ("https://management.core.windows.net/", f"https://{MANAGEMENT_HOST}/")
"""Names of Azure Resource Manager, for which tools sign in before they call anything."""
HEALTHCARE_APP_ID: Final = "4f6778d8-5aef-43dc-a1ff-b073724b9495"
HEALTHCARE_URLS: Final = (
    "https://azurehealthcareapis.com", "https://fhir.azurehealthcareapis.com",
)  # fmt: skip
"""Names of Azure Healthcare APIs, the application of all managed FHIR services."""
HEALTHCARE_DOMAINS: Final = ("azurehealthcareapis.com", "azurehealthcareapis.us")
"""Where managed FHIR services live: the URL of each is a name of that application, too."""
MICROSOFT_TENANT_ID: Final = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
"""The tenant that owns Microsoft's first-party applications."""

GRAPH_APP_ROLES: Final = {
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    "Application.ReadWrite.All": "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    "Application.ReadWrite.OwnedBy": "18a4783c-866b-4cc7-a460-3d5e5662c884",
    "AppRoleAssignment.ReadWrite.All": "06b708a9-e830-4db3-a914-8e69da51d44f",
    "DelegatedPermissionGrant.ReadWrite.All": "8e8e4742-1d95-4f68-9d56-6ee75648c72a",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "Policy.Read.All": "246dd0d5-5bd0-4def-940b-0421030a5b68",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
}
"""Application permissions of Microsoft Graph: value to app role id."""

GRAPH_SCOPES: Final = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
}
"""Delegated permissions of Microsoft Graph: value to scope id."""

HEALTHCARE_SCOPES: Final = {
    "user_impersonation": "db75143a-8f20-4238-9450-8b73ef4992f4",
    "fhirUser": "a86144c7-3e19-4b56-9675-15803eb1e617",
    "launch": "fa5f9b76-5f20-4466-8b3d-6718de9744e2",
    "launch.patient": "f6c8eb20-e799-4de7-a7ce-74ca0c7270e1",
    "patient.all.read": "c71e9482-f052-461b-80e1-7cfeba7b2b12",
    "user.all.read": "5a03b38d-4081-4265-9558-aab5f2a18b8b",
    "online_access": "8f4fe9ac-b7f2-43ca-a0ef-070f4a8ae5dc",
}
"""Delegated permissions of Azure Healthcare APIs; it has more, for single resource types."""
HEALTHCARE_APP_ROLES: Final = {
    "system.all.read": "a44c4c64-cdb5-48fc-adbd-070df4852b2c",
    "system.all.all": "bea2566c-7172-42d0-a06a-0e2e2b58f084",
}
"""Application permissions of Azure Healthcare APIs."""

OIDC_SCOPES: Final = frozenset({"openid", "profile", "email", "offline_access"})
"""Scopes that every sign-in may ask for without naming Microsoft Graph."""

OPERATOR_PERMISSIONS: Final = ("Application.ReadWrite.OwnedBy",)
ADMIN_PERMISSIONS: Final = (
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
)

DEFAULT_ACCESS_ROLE: Final = "00000000-0000-0000-0000-000000000000"
"""`appRoleId` of an assignment to a resource that declares no app roles."""
