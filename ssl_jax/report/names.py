"""How metrics, stages, methods and data sets are called where people read."""

import re

STAGES = ("raw", "untrained", "pretrained")
_STAGE_NAMES = {"raw": "Raw input", "untrained": "Untrained", "pretrained": "Pretrained"}
_METHODS = {
    "albert": "ALBERT",
    "apc": "APC",
    "attentive_probe": "Attentive probe",
    "barlow_twins": "Barlow Twins",
    "beit": "BEiT",
    "bert": "BERT",
    "best_rq": "BEST-RQ",
    "byol": "BYOL",
    "capi": "CAPI",
    "clap": "CLAP",
    "clip": "CLIP",
    "cpc": "CPC",
    "data2vec": "data2vec (speech)",
    "data2vec_text": "data2vec (text)",
    "data2vec_vision": "data2vec (vision)",
    "dcl": "DCL",
    "dino": "DINO",
    "dinov2": "DINOv2",
    "dvae": "Discrete VAE",
    "electra": "ELECTRA",
    "hubert": "HuBERT",
    "i_jepa": "I-JEPA",
    "ibot": "iBOT",
    "jigsaw": "Jigsaw puzzles",
    "lejepa": "LeJEPA",
    "mae": "MAE",
    "mask_feat": "MaskFeat",
    "moco_v2": "MoCo v2",
    "moco_v3": "MoCo v3",
    "msn": "MSN",
    "next_token": "Next token",
    "nnclr": "NNCLR",
    "relative_position": "Context prediction",
    "roberta": "RoBERTa",
    "rotation": "RotNet",
    "siglip": "SigLIP",
    "simclr": "SimCLR",
    "simcse": "SimCSE",
    "simmim": "SimMIM",
    "simsiam": "SimSiam",
    "sup_con": "SupCon",
    "swav": "SwAV",
    "t5": "T5",
    "v_jepa": "V-JEPA",
    "vicreg": "VICReg",
    "wav2vec2": "wav2vec 2.0",
    "word2vec": "word2vec",
}
_NETWORKS = {
    "resnet": "ResNet",
    "vit": "ViT",
    "visual_tokenizer": "CNN",
    "rotary_vit": "ViT",
    "audio_cnn": "CNN",
    "text_transformer": "Transformer",
    "encoder_decoder": "Encoder and decoder",
    "waveform_transformer": "Transformer",
    "word_vectors": "word vectors",
    "frame_transformer": "Transformer",
    "waveform_gru": "GRU",
    "frame_gru": "GRU",
}
METRICS = {
    "loss": "Loss",
    "grad_norm": "Norm of the gradient",
    "learning_rate": "Learning rate",
    "examples_per_second": "Examples per second",
    "knn_full": "Full kNN",
    "linear": "Linear probe",
    "rank_me": "Effective rank",
    "lidar": "LiDAR",
    "embedding_std": "Embedding spread",
    "alpha_req": "Decay of the spectrum",
    "spread": "Spread of features",
    "projection_spread": "Spread of projections",
    "projection_deviation": "Deviation of projections",
    "effective_rank": "Centred rank of features",
    "projection_effective_rank": "Centred rank of projections",
    "directions": "Live directions of features",
    "projection_directions": "Live directions of projections",
    "prototype_perplexity": "Prototypes in use",
    "prototype_information": "Nats that prototypes tell",
    "masked_accuracy": "Hidden words guessed",
    "masked_accuracy_unigram": "… by the commonest word alone",
    "masked_accuracy_bigram": "… by the word before",
    "masked_accuracy_both_sides": "… by the words on both sides",
    "next_sentence_accuracy": "Next sentence recognised",
    "masked_lm_loss": "Loss of hidden words",
    "next_sentence_loss": "Loss of next sentence",
    "span_accuracy": "Words of hidden spans guessed",
    "span_accuracy_unigram": "… by the commonest word alone",
    "span_accuracy_bigram": "… by the word before",
    "contrastive_loss": "Contrastive loss",
    "contrastive_accuracy": "Frames told from others",
    "contrastive_accuracy_chance": "… by chance",
    "code_perplexity": "Codes in use",
    "gumbel_temperature": "Temperature of codes",
    "sentence_order_accuracy": "Order of sentences recognised",
    "sentence_order_loss": "Loss of the order of sentences",
    "next_token_accuracy": "Next words guessed",
    "next_token_accuracy_unigram": "… by the commonest word alone",
    "next_token_accuracy_bigram": "… by the word before",
    "pseudo_perplexity": "Pseudo-perplexity",
    "perplexity": "Perplexity",
    "replaced_accuracy": "Words told from replaced ones",
    "replaced_found": "Replaced words found",
    "replaced_auc": "Replaced word above another",
    "replaced_loss": "Loss of replaced words",
    "target_deviation": "Deviation of targets",
    "prediction_deviation": "Deviation of predictions",
    "target_skill": "Error saved against the targets' mean",
    "copy_error": "Error of copying the frame before",
    "copy_skill": "Error saved against copying",
    "unit_loss": "Loss of hidden units",
    "masked_unit_accuracy": "Hidden units guessed",
    "masked_unit_accuracy_copied": "… by the frame before",
    "masked_unit_accuracy_nearest": "… by the nearest frame",
    "masked_unit_accuracy_commonest": "… by the commonest alone",
    "unit_perplexity": "Units in use",
    "reconstruction_loss": "Loss of pixels",
    "token_divergence": "Nats of tokens from the uniform",
    "divergence_weight": "Weight of the divergence",
    "token_accuracy": "Hidden patches' tokens guessed",
    "token_accuracy_commonest": "… by the commonest alone",
    "token_perplexity": "Tokens in use",
    "accuracy": "Accuracy of classes",
    "sound_to_text": "Text found for a sound",
    "sound_to_text_chance": "… by chance",
    "text_to_sound": "Sound found for a text",
    "text_to_sound_chance": "… by chance",
    "image_to_text": "Text found for a picture",
    "image_to_text_chance": "… by chance",
    "text_to_image": "Picture found for a text",
    "text_to_image_chance": "… by chance",
    "zero_shot": "Classes told by their names",
    "zero_shot_commonest": "… by the commonest class alone",
    "temperature": "Temperature",
    "bias": "Bias of similarities",
    "rotation_accuracy": "Turns told",
    "jigsaw_accuracy": "Orders of tiles told",
    "position_accuracy": "Sides of patches told",
    "class_loss": "Loss of class tokens",
    "patch_loss": "Loss of hidden patches",
    "koleo_loss": "Loss of spread (KoLeo)",
    "prediction_loss": "Loss of hidden clusters",
    "clustering_loss": "Loss of the clustering",
    "target_entropy": "Entropy of targets",
    "cluster_perplexity": "Clusters in use",
    "cluster_accuracy": "Hidden clusters guessed",
    "knn_full_tf_idf": "… by TF-IDF",
    "neighbour_top_1": "Next or last sentence first",
    "neighbour_top_5": "Next or last sentence among the first 5",
    "neighbour_top_10": "Next or last sentence among the first 10",
    "neighbour_rank": "Next or last sentence, mean of 1 / rank",
    "neighbour_top_1_tf_idf": "Next or last sentence first, by TF-IDF",
    "neighbour_top_5_tf_idf": "Next or last sentence among the first 5, by TF-IDF",
    "neighbour_top_10_tf_idf": "Next or last sentence among the first 10, by TF-IDF",
    "neighbour_rank_tf_idf": "Next or last sentence, mean of 1 / rank, by TF-IDF",
    "pair_accuracy": "Other pass found in the batch",
    "context_accuracy": "Near words told from others",
    "context_accuracy_frequency": "… by how frequent they are",
    "analogy_accuracy": "Analogies",
    "analogy_top_5": "… among the first five",
    "word_kind_accuracy": "Nearest word of the same kind",
}
"""What is logged or scored, without prefix, and how people read it; `metric` knows few-shot kNN and layers too."""
_SHOTS = re.compile(r"knn_(\d+)shot")
_FOUND = re.compile(r"(sound_to_text|text_to_sound|image_to_text|text_to_image)_top_(\d+)_?(.*)")
_LAYER = re.compile(r"linear_layer_(\d+)")
_SHARE = re.compile(
    r"knn_.*|linear.*|.*accuracy.*|replaced_found|replaced_auc|.*_skill|.*_to_text.*|.*_to_(sound|image).*"
    r"|.*top_?\d.*|zero_shot.*"
)


def metric(key: str) -> str:
    """The readable name of a metric, with or without a prefix such as `pretrained/`: '5-shot kNN'."""
    name = key.rpartition("/")[2]
    shots = _SHOTS.fullmatch(name)
    if shots:
        return f"{shots[1]}-shot kNN"
    if layer := _LAYER.fullmatch(name):
        return f"Linear probe of layer {layer[1]}"
    if found := _FOUND.fullmatch(name):
        return _found(found[1], found[2], found[3])
    return METRICS.get(name, _spaced(name))


def _found(way: str, top: str, kind: str) -> str:
    """Of what is found among the first so many of all; `kind` of text, or 'chance'."""
    if kind == "chance":
        return METRICS[f"{way}_chance"]
    first = "first of all" if top == "1" else f"among the first {top} of all"
    return f"{METRICS[way]} {first}" + (f" ({_spaced(kind)})" if kind else "")


def metric_order(key: str) -> tuple[int, int, str]:
    """Sorts few-shot by its shots, then full kNN, the linear probe, those of layers, other shares, and the rest."""
    name = key.rpartition("/")[2]
    shots = _SHOTS.fullmatch(name)
    if shots:
        return 0, int(shots[1]), name
    if layer := _LAYER.fullmatch(name):
        return 2, int(layer[1]), name
    if found := _FOUND.fullmatch(name):  # after what is found in batches: chance behind each, then kinds of text
        kind, chance = (found[3], "") if found[3] != "chance" else ("", "chance")
        return 3, 0, f"{found[1]}~{kind} {found[2]:>3}{chance}"
    rank = {"knn_full": 1, "linear": 2}.get(name, 3 if is_share(name) else 4)
    return rank, 0, name


def is_share(key: str) -> bool:
    """Whether the metric is a share, which reads best in percent."""
    return bool(_SHARE.fullmatch(key.rpartition("/")[2]))


def stage(name: str) -> str:
    """The heading of a column of results."""
    return _STAGE_NAMES.get(name, _spaced(name))


def stage_order(name: str) -> tuple[int, str]:
    """Raw, untrained, other baselines, pretrained last."""
    return {"raw": 0, "untrained": 1, "pretrained": 3}.get(name, 2), name


def method(name: str) -> str:
    """The method as its paper writes it."""
    return _METHODS.get(name, _spaced(name))


def network(name: str) -> str:
    """The kind of network as people write it."""
    return _NETWORKS.get(name, _spaced(name))


def number(key: str, value: float, spread: float | None = None) -> str:
    """A value with its spread, as the table prints it: '84.2 ± 2.1 %', or three significant digits."""
    if value != value:
        return "NaN"
    if not is_share(key):
        between = f" ± {spread:.2g}" if spread is not None else ""
        return (f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}") + between
    between = f" ± {100 * spread:.1f}" if spread is not None else ""
    return f"{100 * value:.1f}{between} %"


def _spaced(name: str) -> str:
    words = name.replace("_", " ").replace("/", " ").strip()
    return words[:1].upper() + words[1:]
