import { mount } from "svelte";
import "./app.css";
import App from "./views/App.svelte";

mount(App, { target: document.body });
