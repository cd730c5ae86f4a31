import type { Pipeline } from './records';

/** The page of the project that a pipeline belongs to; null when its address has another form. */
function project(pipeline: Pipeline | null): string | null {
  const url = pipeline?.url ?? '';
  const found =
    pipeline?.forge === 'github'
      ? /^(https?:\/\/.+)\/actions\/runs\//.exec(url)
      : /^(https?:\/\/.+)\/-\/pipelines\//.exec(url);
  return found?.[1] ?? null;
}

/** The page of a commit on the forge of a pipeline; null if that is not known. */
export function commitLink(pipeline: Pipeline | null, commit: string | null): string | null {
  const base = project(pipeline);
  if (!base || !commit || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
  return `${base}${pipeline?.forge === 'github' ? '' : '/-'}/commit/${commit}`;
}

/** The page of the merge request that a pipeline ran for; null if there is none, or it is not known. */
export function reviewLink(pipeline: Pipeline | null): string | null {
  const base = project(pipeline);
  if (!base || !pipeline?.review || !/^\d+$/.test(pipeline.review)) return null;
  return pipeline.forge === 'github'
    ? `${base}/pull/${pipeline.review}`
    : `${base}/-/merge_requests/${pipeline.review}`;
}
