import Foundation

/// PEFT's `adapter_config.json` of type PROMPT_TUNING, with the keys that PEFT writes.
struct PEFTConfiguration: Encodable {
  var base_model_name_or_path: String?
  /// Parts of the model that are saved beside the prompt; nil for none.
  var modules_to_save: [String]?
  var num_attention_heads: Int
  var num_layers: Int
  var num_virtual_tokens: Int
  var task_type: AdapterTask?
  var token_dim: Int

  private enum Key: String, CodingKey {
    case auto_mapping, base_model_name_or_path, inference_mode, modules_to_save, num_attention_heads, num_layers
    case num_transformer_submodules, num_virtual_tokens, peft_type, prompt_tuning_init, prompt_tuning_init_text
    case revision, task_type, token_dim, tokenizer_kwargs, tokenizer_name_or_path
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for key in [
      Key.auto_mapping, .prompt_tuning_init_text, .revision, .tokenizer_kwargs,
      .tokenizer_name_or_path,
    ] { try container.encodeNil(forKey: key) }
    try container.encode(base_model_name_or_path, forKey: .base_model_name_or_path)
    try container.encode(true, forKey: .inference_mode)
    try container.encode(num_attention_heads, forKey: .num_attention_heads)
    try container.encode(num_layers, forKey: .num_layers)
    try container.encode(1, forKey: .num_transformer_submodules)
    try container.encode(num_virtual_tokens, forKey: .num_virtual_tokens)
    try container.encode("PROMPT_TUNING", forKey: .peft_type)
    // How the vectors started is of no use to a reader, and PEFT would look for a tokenizer if this said TEXT.
    try container.encode("RANDOM", forKey: .prompt_tuning_init)
    try container.encode(task_type, forKey: .task_type)
    try container.encode(modules_to_save, forKey: .modules_to_save)
    try container.encode(token_dim, forKey: .token_dim)
  }

  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }
}
