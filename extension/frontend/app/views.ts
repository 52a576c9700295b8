/** The views, each fetched when it is first opened, and their titles. */

import type { ComponentType } from "preact";

export const TITLES: Record<string, string> = {
  home: "Home",
  flows: "Flows",
  flow: "Flow",
  executions: "Executions",
  execution: "Execution",
  schedules: "Schedules",
  schedule: "Schedule",
  messages: "Messages",
  message: "Message",
  webhooks: "Webhooks",
  webhook: "Webhook",
  tokens: "Tokens",
  settings: "Settings",
  workers: "Workers",
};

export const VIEWS: Record<string, () => Promise<ComponentType>> = {
  home: async () => (await import("../views/home/home")).Home,
  flows: async () => (await import("../views/flows/list")).FlowList,
  flow: async () => (await import("../views/flows/detail")).FlowDetail,
  executions: async () => (await import("../views/executions/list")).ExecutionList,
  execution: async () => (await import("../views/executions/detail")).ExecutionDetail,
  schedules: async () => (await import("../views/schedules/list")).ScheduleList,
  schedule: async () => (await import("../views/schedules/detail")).ScheduleDetail,
  messages: async () => (await import("../views/messages/list")).MessageList,
  message: async () => (await import("../views/messages/detail")).MessageDetail,
  webhooks: async () => (await import("../views/webhooks/list")).WebhookList,
  webhook: async () => (await import("../views/webhooks/detail")).WebhookDetail,
  tokens: async () => (await import("../views/tokens/list")).TokenList,
  settings: async () => (await import("../views/settings/settings")).Settings,
  workers: async () => (await import("../views/workers/workers")).Workers,
};
