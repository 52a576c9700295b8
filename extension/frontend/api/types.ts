/** The records of REST, by their names in the OpenAPI document. `make lint` generates `schema.d.ts` from it. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Execution = Schemas["Execution"];
export type ExecutionBrief = Schemas["ExecutionBrief"];
export type Status = Schemas["Status"];
export type Origin = Schemas["Origin"];
export type LogLine = Schemas["LogLine"];
export type Cell = Schemas["Cell"];
export type CellOutput = Schemas["CellOutput"];
export type ExecutionCells = Schemas["ExecutionCells"];
export type ResultSummary = Schemas["ResultSummary"];
export type Result = Schemas["Result"];
export type ErrorDetail = Schemas["ErrorDetail"];
export type Flow = Schemas["Flow"];
export type FlowActivity = Schemas["FlowActivity"];
export type RecentExecution = Schemas["RecentExecution"];
export type Message = Schemas["Message"];
export type Schedule = Schemas["Schedule"];
export type SchedulePreview = Schemas["SchedulePreview"];
export type Occurrence = Schemas["Occurrence"];
export type Webhook = Schemas["Webhook"];
export type CreatedWebhook = Schemas["CreatedWebhook"];
export type Delivery = Schemas["Delivery"];
export type WebhookPreset = Schemas["WebhookPreset"];
export type Token = Schemas["Token"];
export type CreatedToken = Schemas["CreatedToken"];
export type TokenAction = Schemas["Action"];
export type Setting = Schemas["Setting"];
export type SettingDescription = Schemas["SettingDescription"];
export type Activity = Schemas["ExecutionActivity"];
export type OwnDashboard = Schemas["OwnDashboard"];
export type QueueState = Schemas["QueueState"];
export type Worker = Schemas["Worker"];
export type Health = Schemas["Health"];
export type ServerEvent = Schemas["Event"];

/** A page of a list. `next` is the cursor of the following page. */
export interface Page<Item> {
  items: Item[];
  next: string | null;
}

/** JSON Schema (draft 7), as far as forms read it. */
export interface Schema {
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  default?: unknown;
  description?: string;
  format?: string;
  writeOnly?: boolean;
  additionalProperties?: boolean | Schema;
  [key: string]: unknown;
}
