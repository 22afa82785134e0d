// The guide's types, strict: a field that neither the guide nor ADDITIVE names fails.
import { z } from 'zod';

const uuid = z.uuid();
const moment = z.iso.datetime();
const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/);
const score = z.number().min(-1).max(1);
const share = z.number().min(0).max(1);
const count = z.number().int().min(0);
const bySide = z.strictObject({ A: z.number().min(0).optional(), B: z.number().min(0).optional() });

const proof = { segment_id: uuid.optional(), start_ms: count.optional(), quote: z.string().min(1).optional() };
const side = z.enum(['client', 'manager']);
const Outcome = z.strictObject({
  kind: z.enum([
    'appointment',
    'test_drive',
    'sold',
    'lost',
    'callback',
    'service_booked',
    'information',
    'no_conversation',
  ]),
  when: z.string().optional(),
  reason: z.string().optional(),
  ...proof,
});

// What the appliance adds to the guide, by type. Everything else is the guide's.
const ADDITIVE = {
  Login: { refresh_token: z.string().min(32) },
  User: { must_change_password: z.literal(true).optional() },
  Account: { must_change_password: z.literal(true).optional(), is_active: z.boolean(), extension: z.string().optional() },
  Transcript: { speaker_detail: z.enum(['A2', 'B2']).optional(), language: z.string().regex(/^[a-z]{2,3}$/) },
  Analysis: {
    intents: z.array(z.string()),
    provider: z.string().optional(),
    model: z.string().optional(),
    prompt_version: z.string().optional(),
    outcome: Outcome.optional(),
    cars: z.array(z.strictObject({ name: z.string(), relation: z.enum(['wanted', 'owned']), ...proof })),
    trade_in: z.strictObject({ car: z.string().optional(), ...proof }).optional(),
    credit: z.strictObject({ terms: z.string().optional(), ...proof }).optional(),
    objections: z.array(z.strictObject({ text: z.string(), ...proof })),
    next_contact: z.strictObject({ by: side, when: z.string().optional(), ...proof }).optional(),
    tasks: z.array(
      z.strictObject({ text: z.string(), who: side.optional(), due: z.string().optional(), ...proof }),
    ),
    claims: count,
    dropped_claims: count,
    warnings: z.array(z.literal('instructions_in_speech')),
  },
  AnalysisInList: {
    intents: z.array(z.string()),
    language: z.string(),
    processing_status: z.enum(['pending', 'completed', 'failed']),
    outcome: Outcome.optional(),
  },
  Call: {
    language: z.string().optional(),
    transcript_model: z.string().optional(),
    transcript_notice: z.string().optional(),
    manager_channel: z.enum(['left', 'right']).optional(),
    speaker_rule: z.string().optional(),
    speaker_confidence: share.optional(),
    speakers_swapped: z.boolean(),
    removals: z.array(
      z.object({ start_ms: z.number(), end_ms: z.number(), channel: z.number(), reason: z.string(), text: z.string() }),
    ),
    corrections: z.array(
      z.strictObject({ start_ms: count, end_ms: count, channel: count, heard: z.string(), text: z.string() }),
    ),
    conversation: z
      .strictObject({
        talk_ms: bySide,
        talk_share: bySide,
        silence_ms: count,
        silence_share: share,
        longest_monologue_ms: bySide,
        interruptions: bySide.optional(),
        words_per_minute: bySide,
        first_manager_word_ms: count.optional(),
      })
      .optional(),
    held_since: z.string().optional(),
    processing_stage: z.string().optional(),
    processing_error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  },
};

const guide = (name, fields) => z.strictObject({ ...fields, ...ADDITIVE[name] });

const user = {
  id: uuid,
  name: z.string(),
  email: z.string(),
  role: z.enum(['admin', 'manager', 'analyst']),
  avatar: z.url().optional(),
  created_at: moment,
  updated_at: moment,
};
export const User = guide('User', user);
export const Account = guide('Account', user);
export const Login = guide('Login', { user: User, token: z.string(), expires_in: z.literal(3600) });

const judged = {
  sentiment: z.enum(['positive', 'negative', 'neutral']),
  sentiment_score: score,
  topics: z.array(z.string()).max(5),
  summary: z.string().refine((text) => text.split(/\s+/).length <= 120, 'more than 120 words'),
  action_items: z.array(z.string()),
};
export const AnalysisInList = guide('AnalysisInList', judged);
export const Analysis = guide('Analysis', {
  ...judged,
  id: uuid,
  call_id: uuid,
  language: z.string().regex(/^[a-z]{2,3}$/),
  processing_status: z.enum(['pending', 'completed', 'failed']),
  created_at: moment,
  updated_at: moment,
});

export const Transcript = guide('Transcript', {
  id: uuid,
  call_id: uuid,
  start_ms: count,
  end_ms: count,
  speaker: z.enum(['A', 'B']),
  text: z.string().min(1),
  confidence: share.optional(),
  created_at: moment,
});

const call = {
  id: uuid,
  type: z.enum(['incoming', 'outgoing']),
  status: z.enum(['completed', 'missed', 'in-progress']),
  // Russian numbers as the guide writes them, others as their countries do, none as an empty text.
  phoneNumber: z.string().regex(/^(\+7\s\(\d{3}\)\s\d{3}-\d{2}-\d{2}|\+(?!7)[\d\s()-]+)?$/),
  clientName: z.string().optional(),
  managerName: z.string().min(1),
  managerId: uuid,
  duration: count,
  date: moment,
  recordingUrl: z.url().optional(),
  created_at: moment,
  updated_at: moment,
};
export const CallInList = z.strictObject({ ...call, aiAnalysis: AnalysisInList.optional() });
export const Call = guide('Call', { ...call, transcript: z.array(Transcript), aiAnalysis: Analysis.optional() });

const paged = { total: count, has_next: z.boolean(), has_prev: z.boolean() };
export const CallPage = z.strictObject({ calls: z.array(CallInList), ...paged });
export const AccountPage = z.strictObject({ users: z.array(Account), ...paged });
export const Uploaded = z.strictObject({ id: uuid, status: z.literal('processing'), message: z.string().min(1) });
export const Message = z.strictObject({ message: z.string().min(1) });
export const BatchDeleted = z.strictObject({ deleted_count: count, message: z.string().min(1) });
export const Exported = z.strictObject({ download_url: z.url(), expires_at: moment });

export const SearchPage = z.strictObject({
  results: z.array(
    z.strictObject({
      call: CallInList,
      segments: z.array(
        z.strictObject({
          segment_id: uuid,
          speaker: z.enum(['A', 'B']),
          start_ms: count,
          end_ms: count,
          snippet: z.string(),
        }),
      ),
    }),
  ),
  ...paged,
  total_is_estimate: z.boolean(),
});

export const Stats = z.strictObject({
  total_calls: count,
  today_calls: count,
  completed_calls: count,
  missed_calls: count,
  avg_duration: count,
  avg_sentiment: score,
  top_managers: z.array(z.strictObject({ name: z.string(), calls_count: count, avg_sentiment: score })),
  sentiment_trend: z.array(z.strictObject({ date: day, positive: count, neutral: count, negative: count })),
});
export const Trends = z.strictObject({
  period: z.enum(['day', 'week', 'month']),
  points: z.array(
    z.strictObject({
      date: day,
      calls: count,
      missed: count,
      avg_duration: count,
      avg_sentiment: score,
      positive: count,
      neutral: count,
      negative: count,
    }),
  ),
  topics: z.array(z.strictObject({ topic: z.string(), calls: count })),
});
export const Managers = z.strictObject({
  managers: z.array(
    z.strictObject({
      id: uuid,
      name: z.string(),
      calls: count,
      missed: count,
      avg_duration: count,
      avg_sentiment: score,
      talk_share: share,
      topics: z.array(z.string()),
    }),
  ),
});

export const Problem = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.number().int().min(400),
  code: z.string().regex(/^[a-z0-9_]+$/),
  detail: z.string().min(1),
  errors: z.array(z.strictObject({ field: z.string(), code: z.string(), message: z.string() })).optional(),
});

const event = (type, data) => z.strictObject({ type: z.literal(type), data, id: z.number().int().optional() });
export const Event = z.discriminatedUnion('type', [
  event('call_created', z.strictObject({ call: CallInList })),
  event('call_processed', z.strictObject({ call_id: uuid, status: z.literal('completed'), has_analysis: z.boolean() })),
  event('call_processing_failed', z.strictObject({ call_id: uuid, error: z.string().min(1) })),
  event('call_processing_progress', z.strictObject({ call_id: uuid, stage: z.string(), progress: share })),
  event('ping', z.strictObject({})),
]);
