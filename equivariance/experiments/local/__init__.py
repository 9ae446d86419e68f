"""Parts of a field that move independently: layers of finite range answer each by itself, as long as they are apart."""
