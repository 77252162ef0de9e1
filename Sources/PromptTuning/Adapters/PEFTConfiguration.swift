import Foundation

/// PEFT's `adapter_config.json`, with the keys that PEFT writes for the type of prompt.
struct PEFTConfiguration: Encodable {
  var type: PEFTType
  var base_model_name_or_path: String?
  /// Parts of the model that are saved beside the prompt; nil for none.
  var modules_to_save: [String]?
  var num_attention_heads: Int
  var num_layers: Int
  var num_transformer_submodules: Int
  var num_virtual_tokens: Int
  var task_type: AdapterTask?
  var token_dim: Int

  private enum Key: String, CodingKey {
    case auto_mapping, base_model_name_or_path, inference_mode, modules_to_save, num_attention_heads, num_layers
    case num_transformer_submodules, num_virtual_tokens, peft_type, prompt_tuning_init, prompt_tuning_init_text
    case revision, task_type, token_dim, tokenizer_kwargs, tokenizer_name_or_path
    case encoder_dropout, encoder_hidden_size, encoder_num_layers, encoder_reparameterization_type
    case prefix_projection, num_ranks, num_tasks, prompt_tuning_init_state_dict_path, prompt_tuning_init_task
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for key in [Key.auto_mapping, .revision] { try container.encodeNil(forKey: key) }
    try container.encode(base_model_name_or_path, forKey: .base_model_name_or_path)
    try container.encode(true, forKey: .inference_mode)
    try container.encode(num_attention_heads, forKey: .num_attention_heads)
    try container.encode(num_layers, forKey: .num_layers)
    try container.encode(num_transformer_submodules, forKey: .num_transformer_submodules)
    try container.encode(num_virtual_tokens, forKey: .num_virtual_tokens)
    try container.encode(type.name, forKey: .peft_type)
    try container.encode(task_type, forKey: .task_type)
    try container.encode(modules_to_save, forKey: .modules_to_save)
    try container.encode(token_dim, forKey: .token_dim)
    switch type {
    case .promptTuning: try encodeStart(&container)
    case .multitask(let tasks, let rank):
      try encodeStart(&container)
      try container.encode(tasks, forKey: .num_tasks)
      try container.encode(rank, forKey: .num_ranks)
      try container.encodeNil(forKey: .prompt_tuning_init_state_dict_path)
      try container.encode(0, forKey: .prompt_tuning_init_task)
    case .pTuning(let network, let width, let layers):
      try container.encode(network, forKey: .encoder_reparameterization_type)
      try container.encode(width, forKey: .encoder_hidden_size)
      try container.encode(layers, forKey: .encoder_num_layers)
      try container.encode(0.0, forKey: .encoder_dropout)
    case .prefixTuning(let projection, let width):
      try container.encode(projection, forKey: .prefix_projection)
      try container.encode(width, forKey: .encoder_hidden_size)
    case .own: break
    }
  }

  /// How the vectors started is of no use to a reader, and PEFT would look for a tokenizer if this said TEXT.
  private func encodeStart(_ container: inout KeyedEncodingContainer<Key>) throws {
    for key in [Key.prompt_tuning_init_text, .tokenizer_kwargs, .tokenizer_name_or_path] {
      try container.encodeNil(forKey: key)
    }
    try container.encode("RANDOM", forKey: .prompt_tuning_init)
  }

  func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }
}
