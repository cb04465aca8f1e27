"""From Open Images files to a COCO dataset: plan the photos, convert each, split, write.

Order of reading: `build` is the whole build, with the choices of `options`. It uses, in this order,

- `plan`: which photos are converted;
- `run`: all photos, in chunks and processes; `work_folder` keeps the finished chunks, so that a build can resume;
- `convert`: one photo; `orientation` finds its way up, `matching` finds the box of each mask;
- `assemble`: the split into train and val; `summary`: the result; `write`: the files.
"""
