/// Which keys of `config.json` a family knows.
///
/// A key that is neither here nor in the list of bookkeeping keys may change what the model computes, so that it is
/// refused.
struct KnownKeys {
  /// A value that changes nothing.
  enum Neutral {
    case boolean(Bool)
    case number(Double)
    case string(String)
  }

  /// Read and heeded by the family.
  let understood: Set<String>
  /// Known to change nothing here, whatever they say.
  let ignored: Set<String>
  /// Not implemented: accepted only with this value.
  let neutral: [String: Neutral]

  init(_ understood: Set<String>, ignored: Set<String> = [], neutral: [String: Neutral] = [:]) {
    self.understood = understood
    self.ignored = ignored
    self.neutral = neutral
  }

  /// Keys of every family that say nothing about what a frozen model computes from its weights: where it comes from,
  /// how it was trained or initialised, how text is generated, how labels are called.
  static let bookkeeping: Set<String> = [
    "model_type", "architectures", "_name_or_path", "_commit_hash", "transformers_version", "transformers.js_config",
    "torch_dtype", "dtype", "use_bfloat16", "torchscript", "tokenizer_class", "unsloth_version", "unsloth_fixed",
    "_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "_flash_attn_2_enabled",
    "model_max_length", "license", "language", "name",
    "use_cache", "gradient_checkpointing", "output_attentions", "output_hidden_states", "output_past", "return_dict",
    "chunk_size_feed_forward", "tf_legacy_loss", "initializer_range", "tie_word_embeddings", "vocab_size",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id", "mask_token_id",
    "decoder_start_token_id", "is_encoder_decoder", "pretraining_tp",
    "id2label", "label2id", "num_labels", "_num_labels", "problem_type", "finetuning_task", "task_specific_params",
    "prefix",
    "classifier_dropout",
    "max_length", "min_length", "max_new_tokens", "do_sample", "early_stopping", "num_beams", "num_beam_groups",
    "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "length_penalty",
    "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids", "num_return_sequences",
    "output_scores", "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values",
    "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "generation_config",
  ]

  /// Keys of every family that are accepted with a value that changes nothing.
  static let commonlyNeutral: [String: Neutral] = [
    "add_cross_attention": .boolean(false), "tie_encoder_decoder": .boolean(false), "is_causal": .boolean(true),
  ]
}

extension ConfigurationFile {
  /// - Throws: `CheckpointError.badConfiguration` for a key that may change the model and is not implemented.
  func check(_ known: KnownKeys, family: String) throws {
    let neutral = KnownKeys.commonlyNeutral.merging(known.neutral) { $1 }
    for key in keys where !isNull(key) {
      if known.understood.contains(key) || known.ignored.contains(key) || KnownKeys.bookkeeping.contains(key) {
        continue
      }
      if let value = neutral[key] {
        guard holds(value, key) else {
          throw error(key, "has a value that is not implemented for '\(family)'; only \(value.description) is")
        }
      } else if !isEmptyCollection(key) {
        throw error(
          key, "is not known for '\(family)' and may change what the model computes; remove it if it does not")
      }
    }
  }

  private func holds(_ neutral: KnownKeys.Neutral, _ key: String) -> Bool {
    switch neutral {
    case .boolean(let value): (try? boolean(key, default: value)) == value
    case .number(let value): (try? number(key, default: value)) == value
    case .string(let value): (try? optionalString(key)) == value
    }
  }
}

extension KnownKeys.Neutral: CustomStringConvertible {
  var description: String {
    switch self {
    case .boolean(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): "'\(value)'"
    }
  }
}
