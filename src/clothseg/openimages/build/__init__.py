"""From Open Images files to a COCO dataset: plan the photos, convert each, split, write."""
